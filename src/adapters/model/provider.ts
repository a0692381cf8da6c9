/** One provider of models, as the registry puts them together. */

import type { ModelEvent, ModelInfo, ModelRequest } from '#ports/model.ts';

export interface ModelProvider {
  /** `openai`, `anthropic`, `google`, `ollama`, `guide` …: the prefix its models can be asked by. */
  readonly name: string;
  /** Its models under the names it gives them itself (no prefix), the usual ones first. Throws `ModelError`. */
  list(signal: AbortSignal): Promise<ModelInfo[]>;
  /** As `Models.stream`; `model` is the provider's own name of it. */
  stream(model: string, request: ModelRequest, signal: AbortSignal): AsyncIterable<ModelEvent[]>;
  /** What is offered while its list has not been read yet. */
  readonly usual?: readonly ModelInfo[];
  /** What can be said of a model it does not list; null if the name cannot be one of its own. */
  guess?(model: string): ModelInfo | null;
  /** Closes its idle connections and aborts the open ones. */
  close?(): Promise<void>;
}
