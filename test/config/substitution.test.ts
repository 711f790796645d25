import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { type SubstitutionScope, substitute } from "../../src/config/substitution.js";
import { httpListenersOf } from "../../src/server/config.js";
import { Workspace } from "./workspace.js";

const workspace = new Workspace({
  secret: "s3cret\n",
  "crlf.txt": "a\r\nb\r\n\r\n",
  large: "x".repeat(64 * 1024 + 1),
  full: "x".repeat(64 * 1024),
  binary: new Uint8Array([0xff, 0xfe]),
});
execFileSync("mkfifo", [workspace.path("pipe")]);
const scope: SubstitutionScope = { env: { A: "a", EMPTY: "", RAW: "$" + "{A}" }, folder: workspace.folder };

/** The texts here are written with § for $, so that they are not taken for template strings. */
const text = (written: string) => written.replaceAll("§", "$");

const good: readonly (readonly [written: string, loaded: string, secret: boolean])[] = [
  ["plain", "plain", false],
  ["§ and §A and {A}", "$ and $A and {A}", false],
  ["§{A}", "a", true],
  ["x§{A}y§{A}", "xaya", true],
  ["§{EMPTY}", "", true],
  ["§{EMPTY:-b}", "b", false],
  ["§{A:-b}", "a", true],
  ["§{B:-b}", "b", false],
  ["§{B:-}", "", false],
  ["§{B:-0.0.0.0:80 :-}", "0.0.0.0:80 :-", false],
  ["§§{A}", "§{A}", false],
  ["§§{A} §{A}", "§{A} a", true],
  ["§{RAW}", "§{A}", true],
  ["§{file:secret}", "s3cret", true],
  ["§{file:./crlf.txt}", "a\r\nb", true],
  [`§{file:${workspace.path("secret")}}`, "s3cret", true],
  ["§{file:full}", "x".repeat(64 * 1024), true],
];

for (const [written, loaded, secret] of good) {
  test(`${written} becomes ${loaded.slice(0, 20)}`, () => {
    assert.deepEqual(substitute(text(written), scope), { text: text(loaded), secret, problems: [] });
  });
}

const forms = "expected §{NAME}, §{NAME:-default} or §{file:/path}, or §§{ for a literal §{";
const file = (name: string) => workspace.path(name);

const bad: readonly (readonly [written: string, ...problems: string[]])[] = [
  ["§{B}", 'the environment variable B is not set and "§{B}" gives no default'],
  [
    "§{B}§{toString}",
    'the environment variable B is not set and "§{B}" gives no default',
    'the environment variable toString is not set and "§{toString}" gives no default',
  ],
  ["§{}", `"§{}" is not a substitution; ${forms}`],
  ["§{A", `"§{A" is not a substitution; ${forms}`],
  ["§{A-b}", `"§{A-b}" is not a substitution; ${forms}`],
  ["§{file:nope}", `"${file("nope")}" cannot be substituted; it does not exist`],
  ["§{file:large}", `"${file("large")}" cannot be substituted; expected a file of at most 64KiB`],
  ["§{file:/dev/zero}", '"/dev/zero" cannot be substituted; expected a file of at most 64KiB'],
  ["§{file:.}", `"${workspace.folder}" cannot be substituted; expected a file of at most 64KiB`],
  ["§{file:pipe}", `"${file("pipe")}" cannot be substituted; expected a file of at most 64KiB`],
  ["§{file:binary}", `"${file("binary")}" cannot be substituted; expected UTF-8 text`],
];

for (const [written, ...problems] of bad) {
  test(`${written} is a problem`, () => {
    assert.deepEqual(substitute(text(written), scope).problems, problems.map(text));
  });
}

const listener = 'listeners:\n  http:\n    address: ":§{PORT:-0}"\n';

test("a substituted value stands for a number, a boolean or a word where one is expected", () => {
  const yaml = `${listener}server:
  workers: §{WORKERS}
  drain: §{DRAIN}
upstreams:
  chat:
    targets: ["§{HOST}:1"]
    tls: §{TLS}
    max_message_size: §{SIZE}
    retry: { budget: "§{BUDGET}" }
services:
  - { service: a.B, upstream: chat, empty_response: "§{EMPTY}", errors: "§{ERRORS}", json: { emit_defaults: "§{EMIT:-true}" } }
`;
  const env = {
    PORT: "8080",
    WORKERS: "1",
    DRAIN: "5s",
    HOST: "localhost",
    TLS: "true",
    SIZE: "1024",
    BUDGET: "0.5",
    EMPTY: "204",
    ERRORS: "google",
  };
  const config = workspace.config(text(yaml), env);
  assert.equal(httpListenersOf(config.listeners.http)[0]?.listener.address, ":8080");
  assert.deepEqual({ ...config.server }, { workers: 1, drain: 5000 });
  const chat = config.upstreams.chat;
  assert.deepEqual(
    [chat?.targets[0], chat?.tls, chat?.max_message_size, chat?.retry?.budget],
    ["localhost:1", true, 1024, 0.5],
  );
  const service = config.services[0];
  assert.deepEqual(
    [service?.empty_response, service?.errors, service?.json?.emit_defaults],
    [204, "google", true],
  );
});

test("a variable that is not set is an error with its position", () => {
  assert.deepEqual(workspace.problems(text(`${listener}server:\n  drain: §{DRAIN}\n`)), [
    text(
      'gateway.yaml:5:10: error: the environment variable DRAIN is not set and "§{DRAIN}" gives no default (at server.drain)',
    ),
  ]);
});

test("a wrong value from the environment is named by what the file says, never shown", () => {
  const yaml = `${listener}server:
  workers: §{WORKERS}
upstreams:
  chat: { targets: ["§{TARGET}"], tls: { ca: "§{CA}" } }
services:
  - { service: a.B, upstream: "§{UPSTREAM}", errors: "§{ERRORS}" }
`;
  const env = {
    WORKERS: "hidden",
    TARGET: "http://hidden:1",
    UPSTREAM: "hidden",
    CA: "hidden",
    ERRORS: "hidden",
  };
  assert.deepEqual(
    workspace.problems(text(yaml), env).map(problem => problem.replaceAll("$", "§")),
    [
      'gateway.yaml:5:12: error: expected a whole number from 1 to 256 or auto, found the value of "§{WORKERS}" (at server.workers)',
      'gateway.yaml:7:21: error: expected a target such as dns:///host:50051, host:50051, [::1]:50051 or unix:/path, found the value of "§{TARGET}" (at upstreams.chat.targets[0])',
      'gateway.yaml:7:46: error: expected a file, but the value of "§{CA}" does not exist (at upstreams.chat.tls.ca)',
      'gateway.yaml:9:31: error: there is no upstream the value of "§{UPSTREAM}"; declared are chat (at services[0].upstream)',
      'gateway.yaml:9:54: error: expected status, google, problem, openim or chat-api, found the value of "§{ERRORS}" (at services[0].errors)',
    ],
  );
});
