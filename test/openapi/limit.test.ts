import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createPace, inTurns } from "../../src/net/pace.js";
import { DocumentTooLarge, describeApi } from "../../src/openapi/document.js";
import { openApiText } from "../../src/openapi/documents.js";
import { GatewayError } from "../../src/status/failure.js";
import { sourceOf } from "./document-of.js";

const proto = (path: string): string => `syntax = "proto3";
package api.v1;
import "google/api/annotations.proto";
message Name { string name = 1; }
service Names { rpc Get(Name) returns (Name) { option (google.api.http) = { get: "${path}" }; } }
`;

describe("the limit of documents", () => {
  it("a document that is larger than its limit is given up where it becomes too large", async () => {
    const source = await sourceOf(proto("/names/{name}"));
    await inTurns(createPace(), describeApi(source, 100_000));
    await assert.rejects(inTurns(createPace(), describeApi(source, 1000)), DocumentTooLarge);
    await assert.rejects(
      openApiText(source, undefined, "json", 1024),
      (error: unknown) =>
        error instanceof GatewayError &&
        error.failure.reason === "DOCUMENT_TOO_LARGE" &&
        error.failure.httpStatus === 400 &&
        /request that of one service or package/.test(error.failure.message),
    );
  });
});
