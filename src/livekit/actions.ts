import type { LocalHandler, LocalRequest, LocalResponse } from "../bindings/built-in-route.js";
import { createObject, isJsonObject, type JsonObject, type JsonValue } from "../codec/json.js";
import type { Path } from "../config/diagnostic.js";
import { nearest } from "../config/nearest.js";
import type { Template } from "../routing/template.js";
import { Code } from "../status/code.js";
import type { FieldViolation } from "../status/details.js";
import { GatewayError, upstreamFailure } from "../status/failure.js";
import { type ActionCall, type ActionField, calls, requestField } from "./action-calls.js";
import { compileAdmission, counted, endpointOf, readTemplate, successOf, warnOfUnread } from "./admission.js";
import { actionMethods, type LiveKitActionConfig, projectOf } from "./config.js";
import type { TokenInput } from "./input.js";
import { actionOperation } from "./operations.js";
import type { LiveKitParts } from "./parts.js";
import { callServer, type ServerRequest } from "./server-api.js";
import { compileSource, type TokenSource } from "./source.js";
import { nameProblem, requireNone, textProblem } from "./subject.js";

/** Bytes of one field. */
const maxFieldBytes = 4 * 1024;

/** A field of LiveKit's request, and where it comes from. */
interface FilledField {
  readonly field: ActionField;
  readonly source: TokenSource;
}

/** The endpoint of `livekit.actions[index]`. Its errors go to the problems. */
export function actionEndpoint(
  action: LiveKitActionConfig,
  index: number,
  parts: LiveKitParts,
): LocalHandler {
  const { livekit, deps } = parts;
  const at: Path = ["livekit", "actions", index];
  const key = actionMethods.find(each => action[each] !== undefined) ?? "post";
  const text = action[key] ?? "/";
  const template = readTemplate(text);
  const call = calls[action.call];
  const room = compileSource("room", action.room, template, [...at, "room"], parts.problems);
  const identity = compileSource("identity", action.identity, template, [...at, "identity"], parts.problems);
  const fields = compileFields(action, call, template, at, parts);
  const sources = [room, identity, ...fields.map(each => each.source)];
  warnOfUnread(template, sources, [...at, key], parts);
  const shown = action.response ?? call.shown;
  checkShown(action, call, at, parts);
  const admission = compileAdmission(action, identity, sources, at, parts);
  const project = projectOf(livekit, action.project);

  const run = async (request: LocalRequest): Promise<LocalResponse> => {
    const input = admission.read(request);
    const names = { room: room.read(input) ?? "", identity: identity.read(input) ?? "" };
    const violations: FieldViolation[] = [];
    checkSource(room, nameProblem(names.room), violations);
    checkSource(identity, nameProblem(names.identity), violations);
    const message = requestMessage(call, fields, names, input, violations);
    await admission.admit(names.room, names.identity, input, request);
    const common = {
      service: call.service,
      grants: call.grants,
      timeoutMs: action.timeout,
      cancellation: request.cancellation,
    };
    if (call.owned !== undefined) await requireOwned(call.owned, names.room, message, common);
    const response = await callServer(project, { ...common, method: action.call, message });
    return successOf(viewOf(response, shown));
  };

  /** @throws GatewayError NOT_FOUND where the object to end is of another room, as if it did not exist */
  async function requireOwned(
    { list, id }: NonNullable<ActionCall["owned"]>,
    roomName: string,
    message: JsonObject,
    common: Omit<ServerRequest, "method" | "message">,
  ): Promise<void> {
    const expected = message[id] as JsonValue;
    const { items } = await callServer(project, { ...common, method: list, message: { [id]: expected } });
    const found = Array.isArray(items) ? items.filter(isJsonObject) : [];
    if (found.some(item => member(item, id) === expected && member(item, "room_name") === roomName)) return;
    const detail = `the room has no such ${call.service.toLowerCase()}`;
    throw new GatewayError(upstreamFailure(Code.NOT_FOUND, detail, undefined));
  }

  return {
    ...endpointOf(action, key, text, at),
    operation: actionOperation(key, text, action.call, shown, [room, identity], sources),
    handle: counted(run, "done", result => deps.metrics.action(action.call, result)),
  };
}

function compileFields(
  action: LiveKitActionConfig,
  call: ActionCall,
  template: Template | undefined,
  at: Path,
  { problems }: LiveKitParts,
): FilledField[] {
  const fields: FilledField[] = [];
  for (const [name, text] of Object.entries(action.fields)) {
    const path: Path = [...at, "fields", name];
    if (name === call.room || name === call.identity) {
      problems.error(path, `"${name}" is set from ${name === call.room ? "room" : "identity"} of the route`);
      continue;
    }
    const found = requestField(call.input, name);
    if ("why" in found) {
      problems.error(path, found.why, found.suggestion);
      continue;
    }
    const { field } = found;
    const source = compileSource(name, text, template, path, problems);
    if (source.kind === "literal" && field.read(text.slice("literal.".length)) === undefined)
      problems.error(path, `expected ${field.expected}`);
    fields.push({ field, source });
  }
  const { owned } = call;
  if (owned !== undefined && !(owned.id in action.fields))
    problems.error([...at, "fields"], `${action.call} needs ${owned.id}`);
  for (const { field } of fields) {
    const index = field.path.findIndex(step => typeof step === "number" && step > 0);
    if (index < 0) continue;
    const before = [...field.path.slice(0, index), (field.path[index] as number) - 1].join();
    if (fields.some(each => each.field.path.slice(0, index + 1).join() === before)) continue;
    problems.error([...at, "fields"], `expected ${field.path[index - 1]} from [0] on, without gaps`);
  }
  return fields;
}

function checkShown(
  action: LiveKitActionConfig,
  call: ActionCall,
  at: Path,
  { problems }: LiveKitParts,
): void {
  const names = call.output.fields.list().map(({ name }) => name);
  action.response?.forEach((name, index) => {
    if (names.includes(name)) return;
    const message = `${call.output.typeName} has no field "${name}"`;
    problems.error([...at, "response", index], message, nearest(name, names));
  });
}

/**
 * @param violations errors in the names
 * @throws GatewayError VALIDATION_FAILED with all fields that are missing or of the wrong type
 */
function requestMessage(
  call: ActionCall,
  fields: readonly FilledField[],
  { room, identity }: { readonly room: string; readonly identity: string },
  input: TokenInput,
  violations: FieldViolation[],
): JsonObject {
  const message = createObject();
  if (call.room !== undefined) message[call.room] = room;
  if (call.identity !== undefined) message[call.identity] = identity;
  for (const { field, source } of fields) {
    const text = source.read(input);
    if (text === undefined) {
      if (call.owned?.id === field.path[0]) checkSource(source, "must not be empty", violations);
      continue;
    }
    const value = field.read(text);
    const wrong = value === undefined ? `expected ${field.expected}` : textProblem(text, maxFieldBytes);
    checkSource(source, wrong, violations);
    if (value !== undefined) setIn(message, field.path, value);
  }
  requireNone(violations);
  return message;
}

function checkSource(source: TokenSource, wrong: string | undefined, violations: FieldViolation[]): void {
  if (wrong !== undefined) violations.push({ field: source.field, description: wrong });
}

/** Sets a value, with the objects and lists that lead to it. */
function setIn(message: JsonObject, path: readonly (string | number)[], value: JsonValue): void {
  // biome-ignore lint/suspicious/noExplicitAny: objects and lists alike
  let at: any = message;
  path.forEach((step, index) => {
    const next = path[index + 1];
    at[step] = next === undefined ? value : (at[step] ?? (typeof next === "number" ? [] : createObject()));
    at = at[step];
  });
}

/** A member by its name in the proto, where LiveKit may print names of JSON. */
function member(json: JsonObject, name: string): JsonValue | undefined {
  return json[name] ?? json[name.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase())];
}

function viewOf(response: JsonObject, shown: readonly string[]): JsonObject {
  const view = createObject();
  for (const name of shown) {
    const value = member(response, name);
    if (value !== undefined) view[name] = value;
  }
  return view;
}
