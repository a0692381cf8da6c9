import { Check, Copy } from 'lucide-react';
import { text } from '../text.ts';
import { Button } from '../ui/controls.tsx';
import { useCopy } from '../ui/use-copy.ts';

/** Something that is shown this once. */
export function Secret({ note, value, onDone }: { note: string; value: string; onDone: () => void }) {
  const [copied, copy] = useCopy();
  return (
    <div role="status" className="space-y-3 rounded-2xl border border-accent/50 bg-accent-soft p-4">
      <p className="text-sm font-medium">{note}</p>
      <code className="block rounded-xl border border-line bg-raised p-3 font-mono text-sm [overflow-wrap:anywhere] select-all">
        {value}
      </code>
      <div className="flex gap-2">
        <Button kind="primary" onClick={() => copy(value)}>
          {copied ? <Check className="size-4" /> : <Copy className="size-4" />}
          {copied ? text.copied : text.copy}
        </Button>
        <Button kind="quiet" onClick={onDone}>
          {text.close}
        </Button>
      </div>
    </div>
  );
}
