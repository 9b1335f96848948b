#include "net/loop.h"

#include "base/log.h"

namespace intaglio::net {

Loop::Loop(std::string service) : service_(std::move(service)), work_(io_.get_executor()), thread_([this] { run(); }) {}

Loop::~Loop() { stop(); }

void Loop::stop() {
  io_.stop();
  if (thread_.joinable()) thread_.join();
}

void Loop::run() {
  while (!io_.stopped()) {
    try {
      io_.run();
    } catch (const std::exception& exception) {
      log::error(service_ + ".connection_failed", {{"reason", exception.what()}});
    }
  }
}

}  // namespace intaglio::net
