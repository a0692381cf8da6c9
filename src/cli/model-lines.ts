/** What the banner says of the models. */

import type { Config } from '../config.ts';
import type { Running } from '../main.ts';

export function modelLines(_config: Config, models: Running['models']): string[] {
  const model = models.find(null);
  if (model === null) return [models.why()];
  return [model.id];
}
