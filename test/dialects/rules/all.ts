/** All rules for every dialect, over one dialect's table of calls. */

import { testAccess } from './access.ts';
import { testBodies } from './bodies.ts';
import { type DialectRules, openHouse } from './dialect.ts';
import { testFailures } from './failures.ts';
import { testIds } from './ids.ts';
import { testOnce } from './once.ts';

export function testRules(rules: DialectRules): void {
  const house = openHouse();
  testAccess(rules, house);
  testIds(rules, house);
  testBodies(rules, house);
  testOnce(rules, house);
  testFailures(rules);
}
