/** What a gateway takes at one moment, after a collection of garbage. */
export interface Sample {
  /** Requests, streams and sockets that clients have had so far. */
  readonly operations: number;
  /** Bytes. */
  readonly rss: number;
  /** Bytes of JavaScript objects. */
  readonly heap: number;
  readonly descriptors: number;
  /** 99th percentile of how late the event loop was, milliseconds. */
  readonly delayMs: number;
}

export interface Growth {
  readonly text: string;
  readonly grew: boolean;
}

/** Minutes after the start in which caches and the code of V8 still grow, and the least that must follow them. */
const cold = 4;
const leastMinutes = 8;
/**
 * Bytes for each operation. An object that is lost for each request is 100 bytes and more, with what it refers to; the
 * slope of a heap that keeps its size is some 10 of them either way. RSS has what V8 and malloc do not give back.
 */
const mostHeap = 64;
const mostRss = 256;
/** For each minute: what is left open by an operation would be hundreds. */
const mostDescriptors = 1;
/** Connections to backends stay, and more than at first. */
const mostLeft = 16;

/**
 * Whether memory and descriptors grew with what was done: the slope of the least squares over the minutes of a run, without
 * those at its start.
 * @param samples one for each minute
 * @param before before the first client came
 * @param after when the last one had gone
 */
export function growthOf(samples: readonly Sample[], before: Sample, after: Sample): Growth[] {
  const warm = samples.slice(cold);
  const left = after.descriptors - before.descriptors;
  const rest = {
    text: `descriptors when no client is there: ${before.descriptors} before, ${after.descriptors} after, at most ${mostLeft} more`,
    grew: left > mostLeft,
  };
  if (warm.length < leastMinutes)
    return [rest, { text: `growth is judged from ${cold + leastMinutes} minutes on`, grew: false }];
  const of = (
    name: string,
    value: (sample: Sample) => number,
    at: (sample: Sample) => number,
    most: number,
    unit: string,
  ) => {
    const found = slope(warm.map(sample => [at(sample), value(sample)]));
    return { text: `${name} grew by ${found.toFixed(2)} ${unit}, at most ${most}`, grew: found > most };
  };
  const operations = ({ operations: count }: Sample): number => count;
  const minutes = (sample: Sample): number => warm.indexOf(sample);
  return [
    of("heap", ({ heap }) => heap, operations, mostHeap, "bytes an operation"),
    of("RSS", ({ rss }) => rss, operations, mostRss, "bytes an operation"),
    of("descriptors", ({ descriptors }) => descriptors, minutes, mostDescriptors, "a minute"),
    rest,
  ];
}

/** The slope of the least squares of (x, y). */
function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = mean(points.map(([each]) => each));
  const y = mean(points.map(([, each]) => each));
  let covariance = 0;
  let variance = 0;
  for (const [px, py] of points) {
    covariance += (px - x) * (py - y);
    variance += (px - x) ** 2;
  }
  return variance === 0 ? 0 : covariance / variance;
}
