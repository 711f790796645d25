import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";

const root = resolve(import.meta.dirname, "../..");
const roots: readonly string[] = ["src", "clients/js/src"];

/**
 * Words of everyday speech that no name in the source of the gateway and its clients has, each with the terms of docs/glossary.md that stand for it:
 * a reader who meets one thing under two names looks for two things.
 */
const refused: Readonly<Record<string, string>> = {
  answer: "response",
  answers: "responses",
  applicant: "pending",
  ask: "request, query",
  asked: "requested",
  asks: "requests",
  buried: "evicted",
  demand: "requirement",
  lasting: "retained",
  gone: "closed, disconnected",
  losers: "others",
  manner: "options",
  misfit: "mismatch",
  nobody: "no members",
  passage: "pass-through",
  patience: "timeout",
  places: "positions, locations",
  question: "request",
  reception: "subscription",
  rival: "alternative",
  rivals: "alternatives",
  speaker: "sender",
  speaking: "publishing",
  speaks: "protocol",
  spoken: "protocol",
  surroundings: "context",
  survey: "scan",
  tell: "notify",
  tells: "notifies",
  told: "notified",
  verdict: "decision, outcome",
  wallet: "borrowed tokens",
  wanted: "requested, expected, required",
  wants: "requests, requires",
  whereabouts: "position",
  whoever: "caller",
  witness: "last seen entry",
};

/** The names in a source text; what comments, strings and templates say is not among them. */
function names(source: string): readonly string[] {
  const code = source.replaceAll(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g,
    " ",
  );
  return code.match(/[A-Za-z_$][\w$]*/g) ?? [];
}

function wordsOf(name: string): readonly string[] {
  return (name.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+/g) ?? []).map(word => word.toLowerCase());
}

test("names in the source use the terms of the glossary for requests, responses, decisions and positions", () => {
  const files = roots.flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter(file => file.endsWith(".ts"))
      .map(file => join(folder, file)),
  );
  const found = files.flatMap(file =>
    [...new Set(names(readFileSync(join(root, file), "utf8")))].flatMap(name =>
      wordsOf(name)
        .filter(word => Object.hasOwn(refused, word))
        .map(word => `${file}: ${name}; expected ${refused[word]} in place of ${word}`),
    ),
  );
  assert.deepEqual(found, []);
});
