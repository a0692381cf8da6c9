/** `robots.txt` as RFC 9309 has it: its own examples, and what sites write. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isAllowedByRobots, parseRobots } from '../../../src/adapters/web-page/robots.ts';

const may = (robots: string, path: string) =>
  isAllowedByRobots(parseRobots(robots, 'Parlance'), new URL(path, 'https://example.com'));

describe('robots.txt', () => {
  const cases: [what: string, robots: string, path: string, allowed: boolean][] = [
    ['says nothing', '', '/a', true],
    ['forbids all', 'User-agent: *\nDisallow: /', '/a', false],
    ['forbids nothing', 'User-agent: *\nDisallow:', '/a', true],
    ['forbids a folder', 'User-agent: *\nDisallow: /a/', '/a/b', false],
    ['forbids another folder', 'User-agent: *\nDisallow: /a/', '/ab', true],
    [
      'names us, and we leave the others’ rules alone',
      'User-agent: *\nDisallow: /\nUser-agent: parlance\nDisallow: /x',
      '/a',
      true,
    ],
    ['names us with a version', 'User-agent: Parlance/1.0\nDisallow: /', '/a', false],
    ['names another with our name in front', 'User-agent: parlance-x\nDisallow: /', '/a', true],
    ['names us in two groups', 'User-agent: Parlance\nDisallow: /a\n\nUser-agent: Parlance\nDisallow: /b', '/a', false],
    ['names us beside others', 'User-agent: a\nUser-agent: Parlance\nUser-agent: b\nDisallow: /a', '/a', false],
    ['names us, and allows us all', 'User-agent: *\nDisallow: /\nUser-agent: Parlance\nDisallow:', '/a', true],
    ['the longest rule wins', 'User-agent: *\nDisallow: /a\nAllow: /a/b', '/a/b/c', true],
    ['the longest rule wins, in any order', 'User-agent: *\nAllow: /a/b\nDisallow: /a', '/a/c', false],
    ['of two alike allowing wins', 'User-agent: *\nDisallow: /a\nAllow: /a', '/a', true],
    ['a star is anything', 'User-agent: *\nDisallow: /*.php', '/a/b.php?c', false],
    ['a dollar is the end', 'User-agent: *\nDisallow: /*.php$', '/a/b.php?c', true],
    ['a dollar is the end, at it', 'User-agent: *\nDisallow: /*.php$', '/a.php/b.php', false],
    ['a query counts', 'User-agent: *\nDisallow: /*?s=', '/a?s=b', false],
    ['escapes meet', 'User-agent: *\nDisallow: /gr%C3%B6%c3%9fe', '/größe', false],
    ['escapes meet what is written plainly', 'User-agent: *\nDisallow: /größe', '/gr%C3%B6%C3%9Fe', false],
    [
      'comments, spaces and line ends of all kinds',
      '\ufeffUSER-AGENT : * # all\r\r\n Disallow:/a # no\r\n',
      '/a',
      false,
    ],
    ['lines of no group', 'Disallow: /\nSitemap: https://x.example/', '/a', true],
  ];
  for (const [what, robots, path, allowed] of cases) test(what, () => assert.equal(may(robots, path), allowed));

  test('cannot make a match take long', () => {
    const robots = `User-agent: *\n${`Disallow: /${'*a'.repeat(500)}b$\n`.repeat(1000)}`;
    const began = performance.now();
    assert.equal(may(robots, `/${'a'.repeat(2000)}`), true);
    assert.ok(performance.now() - began < 2000);
  });
});
