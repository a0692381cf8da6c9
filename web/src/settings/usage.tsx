import { readUsage } from '../api/owner.ts';
import { formatMoney, formatNumber, text } from '../text.ts';
import { useLoaded } from './use-loaded.tsx';

/** What was used, by day and model. */
export function UsageFigures() {
  const { data, status } = useLoaded(() => readUsage(30));
  const totals = data?.lines.reduce(
    (sum, line) => ({
      runs: sum.runs + line.runs,
      input: sum.input + line.inputTokens,
      output: sum.output + line.outputTokens,
      cost: line.cost === null ? sum.cost : (sum.cost ?? 0) + line.cost,
    }),
    { runs: 0, input: 0, output: 0, cost: null as number | null },
  );
  return (
    <div>
      <h3 className="mb-3 font-medium">{text.settings.usageDays}</h3>
      {status}
      {totals !== undefined && (
        <dl className="mb-5 grid grid-cols-2 gap-3 sm:grid-cols-4">
          <Total label={text.settings.usageRuns} value={formatNumber(totals.runs)} />
          <Total label={text.settings.usageInput} value={formatNumber(totals.input)} />
          <Total label={text.settings.usageOutput} value={formatNumber(totals.output)} />
          <Total label={text.settings.usageCost} value={totals.cost === null ? '–' : formatMoney(totals.cost)} />
        </dl>
      )}
      {data !== null && data.lines.length === 0 && <p className="text-sm text-quiet">{text.settings.usageNone}</p>}
      {data !== null && data.lines.length > 0 && (
        <section
          tabIndex={0}
          aria-label={text.settings.usage}
          className="overflow-x-auto rounded-2xl border border-line"
        >
          <table className="w-full text-sm tabular-nums">
            <thead className="bg-sunken text-start">
              <tr className="[&>th]:px-3 [&>th]:py-2 [&>th]:text-start [&>th]:font-medium">
                <th scope="col">{text.settings.usageDay}</th>
                <th scope="col">{text.settings.usageModel}</th>
                <th scope="col">{text.settings.usageRuns}</th>
                <th scope="col">{text.settings.usageInput}</th>
                <th scope="col">{text.settings.usageOutput}</th>
                <th scope="col">{text.settings.usageCost}</th>
              </tr>
            </thead>
            <tbody>
              {data.lines.map((line) => (
                <tr key={`${line.day} ${line.model}`} className="border-t border-line [&>td]:px-3 [&>td]:py-2">
                  <td className="whitespace-nowrap">{line.day}</td>
                  <td>{line.model}</td>
                  <td>{formatNumber(line.runs)}</td>
                  <td>{formatNumber(line.inputTokens)}</td>
                  <td>{formatNumber(line.outputTokens)}</td>
                  <td>{line.cost === null ? '–' : formatMoney(line.cost)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {data !== null && data.limit !== null && (
        <p className="mt-4 text-sm text-quiet">
          <span className="font-medium text-ink">{text.settings.limits}: </span>
          {text.settings.limitsLeft(data.limit.left, data.limit.of)}
        </p>
      )}
    </div>
  );
}

function Total({ label, value }: { label: string; value: string }) {
  return (
    <div className="rounded-2xl border border-line bg-raised px-4 py-3">
      <dt className="text-xs text-quiet">{label}</dt>
      <dd className="text-xl font-semibold tabular-nums">{value}</dd>
    </div>
  );
}
