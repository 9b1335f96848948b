#pragma once

#include <memory>

#include "http/routes.h"
#include "ssa/sad_filter.h"

namespace intaglio::ssa::csc {

/// POST credentials/extendTransaction (CSC API v2, 11.9): a SAD that ends later in the place of one that still holds, over what is left of
/// the same approval (docs/decisions/0021). `hashes`, when they come, are what is going to be signed, and among what is left.
class ExtendTransaction {
 public:
  ExtendTransaction(std::shared_ptr<protocol::SamService> sam, std::shared_ptr<SadFilter> filter, std::size_t max_hashes);
  [[nodiscard]] http::Response answer(const http::Request& request, const http::Principal& caller) const;

 private:
  std::shared_ptr<protocol::SamService> sam_;
  std::shared_ptr<SadFilter> filter_;
  std::size_t max_hashes_;
};

}  // namespace intaglio::ssa::csc
