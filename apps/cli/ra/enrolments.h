#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace intaglio::cli {

struct ListEnrolmentsOptions {
  std::filesystem::path operator_file;
  std::string state;  ///< empty: any
  unsigned ending = 0;  ///< days within which the certificate ends; 0: any
};
/// `intaglio ra list`: the register of enrolments, all its pages.
Status list_enrolments(const ListEnrolmentsOptions& options);

struct ShowEnrolmentOptions {
  std::filesystem::path operator_file;
  std::string signer;
};
/// `intaglio ra show`: one signer and his keys.
Status show_enrolment(const ShowEnrolmentOptions& options);

struct JobsOptions {
  std::filesystem::path operator_file;
  std::string run;  ///< empty: the list
};
/// `intaglio ra jobs`: what the service does by the clock, when it last did, and, on demand, once more.
Status run_jobs(const JobsOptions& options);

}  // namespace intaglio::cli
