/** One function as it was called from one place. */
interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

/** What V8's sampling heap profiler writes (`.heapprofile`). */
export interface HeapProfile {
  readonly head: HeapNode;
}

interface HeapNode {
  readonly callFrame: ProfileNode["callFrame"];
  /** Bytes that it allocated itself. */
  readonly selfSize: number;
  readonly children: readonly HeapNode[];
}

/** What V8's sampling profiler writes (`.cpuprofile`). */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** The node that was running at each sample. */
  readonly samples?: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas?: readonly number[];
}

/** A function and who called it. */
export interface Frame {
  readonly name: string;
  /** File or `node:` module; empty for what is not JavaScript. */
  readonly url: string;
  readonly line: number;
  readonly caller: Frame | undefined;
}

/** Microseconds that each frame itself ran, without what it called; idle time is left out. */
export function selfTimes({ nodes, samples = [], timeDeltas = [] }: CpuProfile): Map<Frame, number> {
  const frames = framesOf(nodes);
  const times = new Map<Frame, number>();
  for (const [index, id] of samples.entries()) {
    const frame = frames.get(id);
    if (frame === undefined || frame.name === "(idle)") continue;
    times.set(frame, (times.get(frame) ?? 0) + (timeDeltas[index] ?? 0));
  }
  return times;
}

function framesOf(nodes: readonly ProfileNode[]): Map<number, Frame> {
  const byId = new Map(nodes.map(node => [node.id, node]));
  const callers = new Map(nodes.flatMap(node => (node.children ?? []).map(child => [child, node.id])));
  const frames = new Map<number, Frame>();
  // Callers come before what they call, so each is there when it is needed.
  for (const { id, callFrame } of byId.values()) {
    const caller = frames.get(callers.get(id) ?? -1);
    const { functionName: name, url, lineNumber: line } = callFrame;
    frames.set(id, { name, url, line: line + 1, caller });
  }
  return frames;
}

/** Bytes that each frame itself allocated, without what it called. */
export function selfBytes({ head }: HeapProfile): Map<Frame, number> {
  const bytes = new Map<Frame, number>();
  const add = ({ callFrame, selfSize, children }: HeapNode, caller: Frame | undefined): void => {
    const { functionName: name, url, lineNumber: line } = callFrame;
    const frame = { name, url, line: line + 1, caller };
    if (selfSize > 0) bytes.set(frame, selfSize);
    for (const child of children) add(child, frame);
  };
  add(head, undefined);
  return bytes;
}
