/** What answers cost: tokens as the providers counted them, and money where a price is configured. Pure. */

import type { Usage } from './run.ts';

export const MS_PER_DAY = 24 * 60 * 60 * 1000;

/** What a user asked of a model on one day. */
export interface UsageLine {
  user: string;
  /** Days since 1970-01-01, UTC. */
  day: number;
  /** Null: no model answered. */
  model: string | null;
  /** Answers, however they ended. Tokens are those of titles too. */
  runs: number;
  usage: Usage;
}

/** What a million tokens of a model cost, in the operator's own currency. */
export interface Price {
  input: number;
  /** Of input the provider had in its cache. */
  cachedInput: number;
  output: number;
}

/** Reasoning is part of the output, and cached input part of the input, as providers count them. */
export function costOf(usage: Usage, price: Price): number {
  const { inputTokens, cachedInputTokens, outputTokens } = usage;
  const fresh = Math.max(0, inputTokens - cachedInputTokens);
  return (fresh * price.input + cachedInputTokens * price.cachedInput + outputTokens * price.output) / 1e6;
}
