import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Server } from "@grpc/grpc-js";
import { loadSync, type PackageDefinition } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import protobuf from "protobufjs";
import type { Channel } from "../../src/upstream/channel.js";
import {
  fetchDescriptors,
  type ReflectedDescriptors,
  watchDescriptors,
} from "../../src/upstream/reflection/reflection.js";
import { decodeFileHead } from "../../src/upstream/reflection/session.js";
import { rawMethod } from "../raw-method.js";
import { type Backend, openChannel, refusingAddress, startBackend, until } from "./backend.js";

let folder: string;
let definition: PackageDefinition;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "protogate-reflection-"));
  writeFileSync(
    join(folder, "types.proto"),
    `syntax = "proto3"; package shop.v1; message Money { string currency = 1; int64 units = 2; }`,
  );
  writeFileSync(
    join(folder, "shop.proto"),
    `syntax = "proto3"; package shop.v1; import "types.proto"; import "google/protobuf/timestamp.proto";
     message GetPriceRequest { string sku = 1; }
     message Price { Money money = 1; google.protobuf.Timestamp since = 2; }
     service Prices { rpc GetPrice(GetPriceRequest) returns (Price); }
     service Stock { rpc GetStock(GetPriceRequest) returns (Price); }`,
  );
  definition = loadSync("shop.proto", { includeDirs: [folder] });
});

after(() => rmSync(folder, { recursive: true }));

/** Adds the reflection service to a server, in these versions only. */
function reflecting(versions: readonly string[] = ["v1", "v1alpha"]): (server: Server) => void {
  return server => {
    new ReflectionService(definition).addToServer({
      addService: (service, implementation) => {
        const path = Object.values(service)[0]?.path ?? "";
        if (versions.some(version => path.includes(`.${version}.`)))
          server.addService(service, implementation);
      },
    });
  };
}

async function fetchFrom(backend: Backend): Promise<ReflectedDescriptors> {
  const channel = openChannel([backend.address]);
  try {
    return await fetchDescriptors(channel, { timeout: 10_000 });
  } finally {
    await channel.close();
    backend.stop();
  }
}

function names({ files }: ReflectedDescriptors): string[] {
  return files.map(file => decodeFileHead(file).name);
}

for (const versions of [["v1", "v1alpha"], ["v1"], ["v1alpha"]]) {
  test(`files and services come from a server with ${versions.join(" and ")}`, async () => {
    const found = await fetchFrom(await startBackend({ extend: reflecting(versions) }));
    assert.ok(found.services.includes("shop.v1.Prices"), found.services.join());
    assert.ok(found.services.includes("shop.v1.Stock"), found.services.join());
    // @grpc/proto-loader gathers its files by package and names them so.
    assert.deepEqual(names(found), ["google_protobuf.proto", "shop_v1.proto"]);
  });
}

test("reflection of a server without it fails with that reason", async () => {
  await assert.rejects(fetchFrom(await startBackend()), /does not offer gRPC server reflection/);
});

test("reflection of a server that cannot be reached fails with that reason", async () => {
  const channel = openChannel([await refusingAddress()]);
  await assert.rejects(
    fetchDescriptors(channel, { timeout: 10_000 }),
    /reflection failed with UNAVAILABLE: .*ECONNREFUSED/,
  );
  await channel.close();
});

const bytes = (message: protobuf.Writer) => Buffer.from(message.finish());

/** A reflection service that responds to each request with what `respond` returns. */
function handmade(respond: (request: Buffer) => Buffer | undefined): (server: Server) => void {
  return server => {
    server.addService(
      {
        info: rawMethod("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", true, true),
      },
      {
        info: (call: import("@grpc/grpc-js").ServerDuplexStream<Buffer, Buffer>) => {
          call.on("data", (request: Buffer) => {
            const response = respond(request);
            if (response !== undefined) call.write(response);
          });
          call.on("end", () => call.end());
        },
      },
    );
  };
}

function services(...listed: string[]): Buffer {
  const writer = protobuf.Writer.create().uint32(50).fork();
  for (const name of listed) writer.uint32(10).fork().uint32(10).string(name).ldelim();
  return bytes(writer.ldelim());
}

function files(...descriptors: Uint8Array[]): Buffer {
  const writer = protobuf.Writer.create().uint32(34).fork();
  for (const file of descriptors) writer.uint32(10).bytes(file);
  return bytes(writer.ldelim());
}

function descriptor(name: string, ...imports: string[]): Uint8Array {
  const writer = protobuf.Writer.create().uint32(10).string(name);
  for (const dependency of imports) writer.uint32(26).string(dependency);
  return writer.finish();
}

const notFound = bytes(
  protobuf.Writer.create().uint32(58).fork().uint32(8).int32(5).uint32(18).string("no").ldelim(),
);

test("reflection follows imports, keeps each file once and leaves out files that the server cannot give", async () => {
  const asked: string[] = [];
  const extend = handmade(request => {
    const text = String(request.subarray(2));
    switch (request[0]) {
      case 58:
        return services("a.A", "a.B");
      case 34:
        return files(descriptor("a.proto", "b.proto", "google/api/annotations.proto"));
      case 26:
        asked.push(text);
        if (text === "b.proto") return files(descriptor("b.proto", "c.proto"), descriptor("a.proto"));
        return text === "c.proto" ? files(descriptor("c.proto")) : notFound;
      case 50:
        return text.endsWith("MethodOptions")
          ? bytes(protobuf.Writer.create().uint32(42).fork().uint32(18).fork().int32(50001).ldelim().ldelim())
          : notFound;
      default:
        return files(descriptor("options.proto"));
    }
  });
  const found = await fetchFrom(await startBackend({ extend }));
  assert.deepEqual(names(found), ["a.proto", "b.proto", "c.proto", "options.proto"]);
  assert.deepEqual(found.services, ["a.A", "a.B"]);
  assert.deepEqual(asked.sort(), ["b.proto", "c.proto", "google/api/annotations.proto"]);
});

test("reflection ends an endless chain of imports with an error", async () => {
  let count = 0;
  const extend = handmade(request => {
    if (request[0] === 58) return services("a.A");
    if (request[0] === 50) return notFound;
    const batch = Array.from({ length: 500 }, () => descriptor(`${count++}.proto`, `${count}.proto`));
    return files(...batch, descriptor(`${count++}.proto`, `${count + 500}.proto`));
  });
  await assert.rejects(fetchFrom(await startBackend({ extend })), /more than 10000 files or 67108864 bytes/);
});

test("a reflection response that cannot be decoded is an error", async () => {
  const extend = handmade(() => Buffer.from([255, 255, 255]));
  await assert.rejects(fetchFrom(await startBackend({ extend })), /malformed reflection response/);
});

test("reflection of a server that never responds ends with the timeout", async () => {
  const backend = await startBackend({ extend: handmade(() => undefined) });
  const channel = openChannel([backend.address]);
  await assert.rejects(
    fetchDescriptors(channel, { timeout: 50 }),
    /reflection failed with DEADLINE_EXCEEDED/,
  );
  await channel.close();
  backend.stop();
});

test("reflection fails where the server lists services and gives none of their files", async () => {
  const extend = handmade(request => (request[0] === 58 ? services("a.A") : notFound));
  await assert.rejects(fetchFrom(await startBackend({ extend })), /gives the file of none of them/);
});

/** Watches until `enough`, and returns what was heard. */
async function watched(channel: Channel, enough: (heard: string[]) => boolean): Promise<string[]> {
  const heard: string[] = [];
  const stop = watchDescriptors(channel, {
    refresh: 1,
    timeout: 5_000,
    onChange: found => heard.push(names(found).join()),
    onError: error => heard.push(error.message),
  });
  await until(() => enough(heard));
  stop();
  await channel.close();
  return heard;
}

test("a watch of descriptors reports changes only", async () => {
  let fetched = 0;
  const extend = handmade(request => {
    if (request[0] === 58) {
      fetched++;
      return services("a.A");
    }
    if (request[0] === 50) return notFound;
    return files(descriptor(fetched < 4 ? "old.proto" : "new.proto"));
  });
  const backend = await startBackend({ extend });
  assert.deepEqual(await watched(openChannel([backend.address]), () => fetched > 6), [
    "old.proto",
    "new.proto",
  ]);
  backend.stop();
});

test("a watch of descriptors tries again until the upstream is reachable", async () => {
  const address = await refusingAddress();
  let backend: Backend | undefined;
  const channel = openChannel([address]);
  const heard = await watched(channel, texts => {
    if (texts.length === 1 && backend === undefined) {
      backend = { address, port: 0, calls: 0, stop: () => {} };
      void startBackend({ extend: reflecting(), port: Number(address.split(":")[1]) }).then(started => {
        backend = started;
      });
    }
    return texts.some(text => text.includes("shop_v1.proto"));
  });
  assert.match(heard[0] ?? "", /UNAVAILABLE/);
  backend?.stop();
});

test("stopping a watch of descriptors ends its fetch, so that the channel can close", async () => {
  let asked = false;
  const extend = handmade(() => {
    asked = true;
    return undefined;
  });
  const backend = await startBackend({ extend });
  const channel = openChannel([backend.address]);
  const stop = watchDescriptors(channel, {
    onChange: () => assert.fail("there is nothing to tell"),
    onError: () => assert.fail("a stopped watch tells nothing"),
  });
  await until(() => asked);
  stop();
  await channel.close();
  backend.stop();
});
