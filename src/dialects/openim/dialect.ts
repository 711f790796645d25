import type { Dialect } from "../dialect.js";
import { openimAccept, openimCallerMetadata } from "./caller.js";
import { openimCredentialReasons, openimStatus } from "./codes.js";
import {
  httpStatusOf,
  openimFailure,
  openimFailureSchema,
  openimSuccess,
  openimSuccessSchema,
} from "./envelope.js";

/** OpenIM's envelope, headers, metadata and business codes (https://github.com/openimsdk). */
export const openimDialect: Dialect = {
  name: "openim",
  failureSchema: openimFailureSchema,
  successSchema: openimSuccessSchema,
  renderFailure: failure => ({
    status: httpStatusOf(failure),
    contentType: "application/json",
    body: openimFailure(failure),
  }),
  renderSuccess: openimSuccess,
  accept: openimAccept,
  callerMetadata: openimCallerMetadata,
  statusOfCode: openimStatus,
  credentialReasons: openimCredentialReasons,
  wrappers: ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"].map(
    kind => `openim.protobuf.${kind}Value`,
  ),
};
