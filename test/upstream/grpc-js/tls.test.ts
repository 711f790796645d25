import "./use-grpc-js.js";
import "../tls.test.js";
