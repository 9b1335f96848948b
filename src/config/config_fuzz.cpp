#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/panic.h"
#include "config/document.h"

/// Any text is read by a program that asks for every kind of key: no crash, and what is accepted reads the same again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = intaglio::as_text({data, size});
  const auto read = [&]() -> std::string {
    auto document = intaglio::config::Document::parse(text, "/etc/intaglio/fuzz.toml", "fuzz");
    if (!document) return document.error().detail;
    auto a = document->section("a", "a table");
    static_cast<void>(a.text("text", "a text", "x"));
    static_cast<void>(a.optional_path("path", "a path"));
    static_cast<void>(a.integer("integer", "a number", {-5, 5}, 0));
    static_cast<void>(a.boolean("boolean", "a switch", true));
    static_cast<void>(a.choice("choice", "a word", {"x", "y"}, "x"));
    static_cast<void>(a.texts("texts", "a list", {}));
    static_cast<void>(a.paths("paths", "a list", {}));
    for (auto& b : document->sections("b", "tables")) {
      static_cast<void>(b.section("inner", "a table").text("text", "a text"));
      static_cast<void>(b.port("port", "a port", 1));
    }
    auto done = document->finish();
    return document->effective() + document->describe() + (done ? std::string() : done.error().detail);
  };
  if (read() != read()) intaglio::panic("config: the same text was read in two ways");
  return 0;
}
