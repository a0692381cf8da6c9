/** The scenarios by name. */

import type { Scenario } from './scenario.ts';
import { equal, order, races } from './scenarios/conversations.ts';
import { crash } from './scenarios/crash.ts';
import { cuts, gone } from './scenarios/cuts.ts';
import { fsync } from './scenarios/fsync.ts';
import { fuzz } from './scenarios/fuzz.ts';
import { growth } from './scenarios/growth.ts';
import { halfOpen } from './scenarios/half-open.ts';
import { kills } from './scenarios/kills.ts';
import { points } from './scenarios/points.ts';
import { power } from './scenarios/power.ts';
import { readers } from './scenarios/readers.ts';
import { slowDisk } from './scenarios/slow-disk.ts';
import { flood, sockets } from './scenarios/sockets.ts';

export const scenarios: Record<string, Scenario> = {
  kills,
  points,
  fsync,
  power,
  'slow-disk': slowDisk,
  cuts,
  gone,
  races,
  order,
  equal,
  crash,
  growth,
  fuzz,
  readers,
  sockets,
  'half-open': halfOpen,
  flood,
};
