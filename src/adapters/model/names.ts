/** What a model's name tells where its provider does not. */

/** Models that do not chat, by the names that OpenAI, Google, Mistral, Ollama and their like give them. */
const NO_CHAT =
  /embed|\bbge\b|\be5-|\bgte-|minilm|rerank|whisper|transcribe|\btts\b|-tts|speech|audio|realtime|\blive\b|dall-?e|imagen?\b|image-|-image|banana|\bveo\b|\bsora\b|lyria|stable-diffusion|\bflux\b|moderation|guard|babbage|davinci|-instruct-0914|gpt-3\.5-turbo-instruct|computer-use|deep-research|robotics|\baqa\b|\bocr\b|decision/i;

export function isChatModel(name: string): boolean {
  return !NO_CHAT.test(name);
}

/** Used where neither the provider nor the table knows. */
export const DEFAULT_WINDOW = 8192;

/** Windows of hosted models in tokens, the first match counting. What runs on one's own server may be loaded smaller. */
const WINDOWS: [RegExp, number][] = [
  [/^gpt-4\.1/, 1_047_576],
  [/^gpt-4o|^chatgpt-4o|^gpt-4-turbo|^gpt-4-\d+-preview|^gpt-5(\.\d+)?-chat/, 128_000],
  [/^gpt-([5-9]|\d\d)/, 400_000],
  [/^gpt-4-32k/, 32_768],
  [/^gpt-4/, 8192],
  [/^gpt-3\.5/, 16_385],
  [/^gpt-oss/, 131_072],
  [/^o\d/, 200_000],
  [/^claude-/, 200_000],
  [/^gemma-3n/, 32_768],
  [/^gemma-3/, 131_072],
  [/^gemini-/, 1_048_576],
  [/^deepseek-(chat|reasoner)/, 131_072],
  [/^grok-/, 131_072],
  [/^(mistral-(large|medium|small)|ministral|codestral|magistral)/, 131_072],
];

/** The window of a model by its name; a maker's prefix (`openai/gpt-5-mini`) is looked past. */
export function windowOf(name: string): number {
  const own = name.slice(name.lastIndexOf('/') + 1);
  return WINDOWS.find(([pattern]) => pattern.test(own))?.[1] ?? DEFAULT_WINDOW;
}

/** What most people take of each provider: fast and not dear. Previews and other variants aside. */
const USUAL = [
  /(?:^|\/)gpt-(\d+)(?:\.(\d+))?(o?)-mini$/,
  /^claude-sonnet-(\d+)(?:-(\d{1,2}))?(?:-\d{8})?$/,
  /^gemini-(\d+)(?:\.(\d+))?-flash$/,
];

/** Whether a model is its provider's usual one, as a number that grows with its release; 0 for all others. */
export function usualRank(name: string): number {
  for (const pattern of USUAL) {
    const [, major, minor = '0', o] = pattern.exec(name) ?? [];
    if (major !== undefined) return Number(major) + Number(minor) / 100 + (o ? 0.001 : 0);
  }
  return 0;
}
