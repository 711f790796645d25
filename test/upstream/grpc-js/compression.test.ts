import "./use-grpc-js.js";
import "../compression.test.js";
import { underTest } from "../transport-under-test.js";

underTest.transport = "grpc-js";
