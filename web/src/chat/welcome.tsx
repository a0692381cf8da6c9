import { session } from '../state/session.ts';
import { useStore } from '../state/store.ts';
import { text } from '../text.ts';

/** What is seen before the first message. */
export function Welcome({ onPick }: { onPick: (prompt: string) => void }) {
  const state = useStore(session);
  const guide = state.state === 'known' && state.models.guide;
  const examples = guide ? text.welcome.examples : text.welcome.examplesOfModel;
  return (
    <div className="min-h-0 flex-1 overflow-y-auto">
      <div className="mx-auto flex min-h-full max-w-[52rem] flex-col justify-center px-5 py-8 sm:px-8">
        <p className="mb-1 text-quiet">{greeting(new Date())}</p>
        <h2 className="mb-7 font-serif text-[clamp(1.9rem,5vw,2.75rem)] leading-tight text-balance">
          {text.welcome.title}
        </h2>
        <ul className="grid gap-2.5 sm:grid-cols-3">
          {examples.map(({ title, prompt }) => (
            <li key={prompt}>
              <button
                type="button"
                onClick={() => onPick(prompt)}
                className="h-full w-full rounded-2xl border border-line bg-raised px-4 py-3 text-start transition-colors hover:border-accent/50 hover:bg-accent-soft"
              >
                <span className="block text-sm font-semibold">{title}</span>
                <span className="mt-0.5 line-clamp-2 block text-sm text-quiet">{prompt}</span>
              </button>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

function greeting(now: Date): string {
  const hour = now.getHours();
  if (hour >= 5 && hour < 12) return text.welcome.morning;
  return hour >= 12 && hour < 18 ? text.welcome.afternoon : text.welcome.evening;
}
