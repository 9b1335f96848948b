#include "problem.h"

#include <cstdio>

namespace intaglio::cli {
namespace {

constexpr std::string_view next_mark = "\n  next: ";

std::string_view general_advice(ErrorCode code) {
  switch (code) {
    case ErrorCode::configuration: return "correct the file or value that is named and run the command again";
    case ErrorCode::not_found: return "check the name, and that the file or entry exists";
    case ErrorCode::conflict: return "choose another output, or say that the existing one may be replaced";
    case ErrorCode::storage_unavailable: return "check free space and permissions of the folder, then run the command again";
    case ErrorCode::busy:
    case ErrorCode::token_unavailable:
    case ErrorCode::audit_unavailable: return "wait a moment and run the command again; if it persists, tell the operator of the service";
    case ErrorCode::authentication_failed: return "check PIN and one-time code; repeated failures lock the credential for a while";
    case ErrorCode::credential_locked: return "wait until the lock ends (15 minutes by default), then try again";
    case ErrorCode::internal: return "run the command again; if it persists, report it with the message above";
    default: return "see `intaglio COMMAND --help`";
  }
}

}  // namespace

Error problem(ErrorCode code, std::string_view what, std::string_view next) {
  return Error{code, std::string(what) + std::string(next_mark) + std::string(next)};
}

Error because(const Error& error, std::string_view doing, std::string_view next) {
  auto detail = std::string(doing) + ": " + error.detail;
  if (next.empty() || error.detail.find(next_mark) != std::string::npos) return Error{error.code, detail};
  return problem(error.code, detail, next);
}

int report(const Error& error) {
  std::string text = "intaglio: " + error.detail;
  if (error.detail.find(next_mark) == std::string::npos) text += std::string(next_mark) + std::string(general_advice(error.code));
  std::fprintf(stderr, "%s\n", text.c_str());
  return 1;
}

}  // namespace intaglio::cli
