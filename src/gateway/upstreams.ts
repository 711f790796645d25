import { readFileSync } from "node:fs";
import { type Diagnostic, LoadError } from "../config/diagnostic.js";
import type { UpstreamConfig } from "../config/schema.js";
import { Code } from "../status/code.js";
import { version } from "../telemetry/version.js";
import type { Channel } from "../upstream/channel.js";
import { type ChannelOptions, createChannel, type UpstreamObserver } from "../upstream/create-channel.js";
import type { UsableConfig } from "./compile.js";

/**
 * One channel for each gRPC upstream of the configuration, by name. Nothing connects before it is needed.
 * @param observe what watches the calls of an upstream, by its name
 * @throws LoadError naming each upstream whose certificates or keys cannot be used
 */
export function createChannels(
  { config, locate }: UsableConfig,
  observe: (upstream: string) => UpstreamObserver | undefined,
): Map<string, Channel> {
  const channels = new Map<string, Channel>();
  const problems: Diagnostic[] = [];
  for (const [name, upstream] of Object.entries(config.upstreams)) {
    if (upstream.protocol !== "grpc") continue;
    try {
      channels.set(name, createChannel(channelOptions(name, upstream), observe(name)));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      problems.push({
        severity: "error",
        message,
        position: locate(["upstreams", name, "tls"]),
        path: `upstreams.${name}`,
      });
    }
  }
  if (problems.length === 0) return channels;
  for (const channel of channels.values()) void channel.close();
  throw new LoadError(problems);
}

function channelOptions(name: string, upstream: UpstreamConfig): ChannelOptions {
  const { retry } = upstream;
  return {
    name,
    targets: upstream.targets,
    balancing: upstream.balancing,
    transport: upstream.transport,
    maxMessageSize: upstream.max_message_size,
    userAgent: `protogate/${version}`,
    ...(upstream.tls === undefined ? {} : { tls: tlsOptions(upstream.tls) }),
    ...(upstream.keepalive === undefined ? {} : { keepalive: upstream.keepalive }),
    ...(upstream.health === undefined ? {} : { health: upstream.health }),
    ...(retry === undefined
      ? {}
      : {
          retry: {
            attempts: retry.attempts,
            on: retry.on.map(code => Code[code]),
            backoff: retry.backoff,
            maxBackoff: retry.max_backoff,
            budget: retry.budget,
          },
        }),
  };
}

function tlsOptions(tls: NonNullable<UpstreamConfig["tls"]>): NonNullable<ChannelOptions["tls"]> {
  if (tls === true) return {};
  return {
    ...(tls.ca === undefined ? {} : { ca: readFileSync(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: readFileSync(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: readFileSync(tls.key) }),
    ...(tls.server_name === undefined ? {} : { serverName: tls.server_name }),
  };
}
