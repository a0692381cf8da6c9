/** The scenarios by name. */

import type { Scenario } from './scenario.ts';
import { kills } from './scenarios/kills.ts';
import { points } from './scenarios/points.ts';

export const scenarios: Record<string, Scenario> = { kills, points };
