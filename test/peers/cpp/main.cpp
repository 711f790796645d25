// A gRPC backend on C++ for the tests of the HTTP/2 client. It takes any method and any bytes, and does as the metadata
// of a call says, so that it needs no generated code.
//
// It prints its port as one line and runs until its standard input is closed.
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <iostream>
#include <limits>
#include <string>

namespace {

using grpc::ByteBuffer;

/** Calls that ended before they were answered. */
std::atomic<int> cancelled{0};

ByteBuffer BufferOf(const std::string& text) {
  grpc::Slice slice(text);
  return ByteBuffer(&slice, 1);
}

/**
 * One call. Metadata of the request:
 *   x-copies    how often each message is said back, 1 by default
 *   x-code      the status in the end, with x-message and x-details-bin
 *   x-gzip      messages are compressed
 *   x-silent    nothing is ever answered
 *   x-echo-bin  comes back among the initial metadata, and x-tail among the trailing
 * Methods: /peer/Count says in the end how many messages and bytes it heard, /peer/Deadline how many milliseconds the
 * call has, /peer/Cancelled how many calls were given up; any other says back what it hears.
 */
class Call : public grpc::ServerGenericBidiReactor {
 public:
  explicit Call(grpc::GenericCallbackServerContext* context) : context_(context), method_(context->method()) {
    if (const auto copies = Find("x-copies"); !copies.empty()) copies_ = std::stoi(copies);
    silent_ = !Find("x-silent").empty();
    if (!Find("x-gzip").empty()) context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
    if (silent_) return;
    if (const auto echo = Find("x-echo-bin"); !echo.empty()) context->AddInitialMetadata("x-echo-bin", echo);
    context->AddInitialMetadata("x-peer", "cpp");
    context->AddTrailingMetadata("x-tail", "t");
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      End();
      return;
    }
    messages_ += 1;
    bytes_ += request_.Length();
    left_ = Says() ? copies_ : 0;
    Go();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status(grpc::StatusCode::UNKNOWN, "the reply could not be written"));
    } else if (ending_) {
      Finish(Ending());
    } else {
      Go();
    }
  }

  void OnCancel() override {
    cancelled += 1;
    if (silent_) Finish(grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "nobody waits any more"));
  }

  void OnDone() override { delete this; }

 private:
  std::string Find(const std::string& name) const {
    const auto& metadata = context_->client_metadata();
    const auto found = metadata.find(name);
    return found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
  }

  /** Whether messages are said back. */
  bool Says() const { return method_ != "/peer/Count" && method_ != "/peer/Deadline" && method_ != "/peer/Cancelled"; }

  void Go() {
    if (left_ > 0) {
      left_ -= 1;
      StartWrite(&request_);
    } else {
      StartRead(&request_);
    }
  }

  void End() {
    if (Says()) {
      Finish(Ending());
      return;
    }
    std::string text;
    if (method_ == "/peer/Count") {
      text = std::to_string(messages_) + " " + std::to_string(bytes_);
    } else if (method_ == "/peer/Cancelled") {
      text = std::to_string(cancelled.load());
    } else {
      const auto left = context_->deadline() - std::chrono::system_clock::now();
      text = std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(left).count());
    }
    ending_ = true;
    reply_ = BufferOf(text);
    StartWrite(&reply_);
  }

  grpc::Status Ending() const {
    const auto code = Find("x-code");
    if (code.empty()) return grpc::Status::OK;
    return grpc::Status(static_cast<grpc::StatusCode>(std::stoi(code)), Find("x-message"), Find("x-details-bin"));
  }

  grpc::GenericCallbackServerContext* context_;
  std::string method_;
  int copies_ = 1;
  bool silent_ = false;
  bool ending_ = false;
  int left_ = 0;
  int messages_ = 0;
  size_t bytes_ = 0;
  ByteBuffer request_;
  ByteBuffer reply_;
};

class Service : public grpc::CallbackGenericService {
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    return new Call(context);
  }
};

}  // namespace

int main() {
  Service service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterCallbackGenericService(&service);
  builder.SetMaxReceiveMessageSize(-1);
  const auto server = builder.BuildAndStart();
  std::cout << port << std::endl;
  std::cin.ignore(std::numeric_limits<std::streamsize>::max());
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
}
