/**
 * Preloaded (`--import`) into every server of the bench that runs on Node: answers on descriptor 3 what was
 * allocated, and ends the process when the bench is gone. See `Child`; bench/peers/control does it in Go.
 */
import { Socket } from "node:net";
import { AllocationCounter } from "./gc-allocation.js";

const counter = new AllocationCounter();
const socket = new Socket({ fd: 3, readable: true, writable: true });
socket.on("data", () => socket.write(`${counter.total()}\n`));
socket.on("close", () => process.exit());
socket.on("error", () => process.exit());
socket.unref();
