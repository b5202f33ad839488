/*
 * What the prompts of a server's answers cost, by its own count (`usage.prompt_tokens`): how many tokens each text has,
 * and how many of its tokens a picture takes for one of ours. Kept in memory for each server and model.
 */

/** One call: a text with pictures, and the server's count of both. */
interface Count {
  /** Equal for the same text with as many pictures. */
  key: string;
  /** Our tokens of the pictures, by the profile's processor. */
  ours: number;
  /** The server's tokens of text and pictures. */
  prompt: number;
  /** Our estimate of the text: an upper bound. */
  text: number;
}

/** What is known of a text on a server. */
interface Known {
  /** Undefined for a text that was not counted yet. */
  textTokens: number | undefined;
  /** The server's tokens for one of ours. */
  ratio: number;
}

interface Server {
  baseUrl: string;
  model: string;
}

const mostServers = 16;
/** Older ones are forgotten, so that another model behind the same name is learned anew. */
const mostCounts = 24;
/** Sizes that differ by less say nothing about pictures. */
const leastSpread = 64;
/** Three sizes make a line; a fourth that is off by more than this is not on one. */
const sizesOfLine = 3;
const tolerance = 0.1;
/** Our estimate of a text is 5 to 10 % too high for the models that it was measured with. */
const overestimate = 1.15;

const servers = new Map<string, Count[]>();
/** Servers whose counts are known to follow no line: said once. */
const told = new Set<string>();
const nameOf = ({ baseUrl, model }: Server) => `${baseUrl} ${model}`;

/**
 * Records a count. One that has not even half of the text is no count of a prompt (some gateways report fewer tokens):
 * nothing is learned from it.
 * @returns "unclear", once for each server, where the counts are on no line: the upper bound is used.
 */
export function note(server: Server, count: Count): "unclear" | undefined {
  if (count.prompt < count.text / 2) return undefined;
  const name = nameOf(server);
  const before = servers.get(name) ?? [];
  const isOther = ({ key, ours }: Count) => key !== count.key || ours !== count.ours;
  const sizes = new Set(before.map(({ ours }) => ours)).size;
  const expected = sizes < sizesOfLine ? undefined : predict(before, count);
  servers.delete(name);
  servers.set(name, [...before.filter(isOther), count].slice(-mostCounts));
  for (const oldest of [...servers.keys()].slice(0, Math.max(0, servers.size - mostServers)))
    servers.delete(oldest);
  if (expected === undefined || Math.abs(expected - count.prompt) <= tolerance * count.prompt)
    return undefined;
  if (told.has(name)) return undefined;
  told.add(name);
  return "unclear";
}

/**
 * What is known of a server; undefined before its first count.
 * @param key - as in the counts of this text.
 * @param leastRatio - the least that a picture is believed to take for one of our tokens.
 */
export function known(server: Server, key: string, leastRatio: number): Known | undefined {
  const counts = servers.get(nameOf(server)) ?? [];
  if (counts.length === 0) return undefined;
  const ratio = Math.max(leastRatio, ratioOf(counts));
  return { ratio, textTokens: textOf(counts, key, ratio) };
}

/** The pictures take the tokens that we count: what is left is a text of about the estimated length. */
function agrees(counts: Count[]): boolean {
  return counts.every(({ prompt, ours, text }) => {
    const rest = prompt - ours;
    return rest >= text / 2 - tolerance * ours && rest <= text * overestimate + tolerance * ours;
  });
}

/**
 * The slope of the line through the counts of equal texts with pictures of several sizes. With one size alone it is 1
 * where that agrees with our estimate of the text, else an upper bound: all that the text does not take for sure.
 */
function ratioOf(counts: Count[]): number {
  let [over, under] = [0, 0];
  for (const group of groups(counts)) {
    const meanOurs = mean(group.map(({ ours }) => ours));
    const meanPrompt = mean(group.map(({ prompt }) => prompt));
    for (const { ours, prompt } of group) {
      over += (ours - meanOurs) * (prompt - meanPrompt);
      under += (ours - meanOurs) ** 2;
    }
  }
  if (under > 0) return Math.max(0, over / under);
  if (agrees(counts)) return 1;
  const bounds = counts.flatMap(({ prompt, text, ours }) =>
    ours === 0 ? [] : [(prompt - text / overestimate) / ours],
  );
  return Math.max(0, ...bounds);
}

/** Groups of one text with pictures of different sizes. */
function groups(counts: Count[]): Count[][] {
  const byKey = Map.groupBy(counts, ({ key }) => key);
  return [...byKey.values()].filter((group) => {
    const sizes = group.map(({ ours }) => ours);
    return Math.max(...sizes) - Math.min(...sizes) >= leastSpread;
  });
}

/** The most that a text took beside its pictures, so that no call of before would have been over it. */
function textOf(counts: Count[], key: string, ratio: number): number | undefined {
  const rests = counts.filter((count) => count.key === key).map(({ prompt, ours }) => prompt - ratio * ours);
  return rests.length === 0 ? undefined : Math.max(0, Math.ceil(Math.max(...rests)));
}

function predict(counts: Count[], { key, ours }: Count): number | undefined {
  const ratio = ratioOf(counts);
  const text = textOf(counts, key, ratio);
  return text === undefined ? undefined : text + ratio * ours;
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
