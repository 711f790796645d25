import { type EngineName, uwsSkipped } from "../engine.js";

/** The engines that can be tested here, one after the other; prints why one is left out. */
export async function* testedEngines(print: (line: string) => void): AsyncGenerator<EngineName> {
  yield "fastify";
  const skip = await uwsSkipped();
  if (skip === false) yield "uws";
  else print(`uws is left out: ${skip}`);
}
