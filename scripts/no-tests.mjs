/** A reporter for `node --test` that fails a run in which no test ran: a filter that matches nothing must not look like success. */
export default async function* noTests(events) {
  let tests = 0;
  for await (const { type, data } of events) {
    const isFile = data.file?.endsWith(data.name); // a file without tests is reported as one test named after it
    if ((type === 'test:pass' || type === 'test:fail') && data.details.type !== 'suite' && !isFile) tests += 1;
  }
  if (tests === 0) {
    process.exitCode = 1;
    yield 'No test ran: nothing matches, or the files hold no tests.\n';
  }
}
