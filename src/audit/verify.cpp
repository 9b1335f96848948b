#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "audit/detail/checkpoint.h"
#include "audit/detail/entries.h"
#include "audit/detail/tiles.h"
#include "audit/node_logs.h"
#include "base/file.h"
#include "json/json.h"

namespace intaglio::audit {

using detail::Entry;
using detail::Hash;
using detail::Head;

namespace {

constexpr std::size_t max_note_size = 64 * 1024;
constexpr std::size_t max_findings = 32;

std::string entry_name(std::uint64_t index) { return "entry " + std::to_string(index); }

/// Findings in the order of the entries that they name, whatever check made them.
class Findings {
 public:
  static constexpr std::uint64_t whole_log = UINT64_MAX;

  void add(std::uint64_t index, std::string text) {
    if (found_.size() < max_findings || index < found_.rbegin()->first) found_.emplace(index, std::move(text));
    if (found_.size() > max_findings) found_.erase(std::prev(found_.end()));
  }
  [[nodiscard]] std::vector<std::string> sentences() const {
    std::vector<std::string> out;
    for (const auto& [index, text] : found_) out.push_back(text);
    return out;
  }

 private:
  std::multimap<std::uint64_t, std::string> found_;
};

std::string text_of(const json::Value& object, std::string_view name) {
  auto text = json::text_member(object, name, detail::max_entry_size);
  return text ? std::move(*text) : std::string();
}

/// Each outcome is of one open intent and says the same as it; each occurrence (authorisation and position) is signed at most
/// once, and never again when it was burned (TC-4).
class Reconciliation {
 public:
  /// `nodes`: null for a log that stands alone.
  Reconciliation(Findings& findings, OccurrencesOfNodes* nodes, const std::string& origin) noexcept
      : findings_(findings), nodes_(nodes), origin_(origin) {}

  void see(std::uint64_t index, const json::Value& event) {
    const auto type = text_of(event, "type");
    const auto* fields = json::member(event, "fields");
    if (fields == nullptr) return;
    if (type == name_of(EventType::signature_intent)) {
      reserve(index, facts_of(event, *fields));
    } else if (type == name_of(EventType::signature_made)) {
      ++signatures_;
      use(index, facts_of(event, *fields), false);
      close(index, event, *fields);
    } else if (type == name_of(EventType::signature_burned)) {
      use(index, facts_of(event, *fields), true);
      close(index, event, *fields);
    } else if (type == name_of(EventType::signature_refused)) {
      // A refusal before the intent names none.
      if (json::member(*fields, "intent") != nullptr) close(index, event, *fields);
    } else if (type == name_of(EventType::signature_redelivered)) {
      const auto occurrence = facts_of(event, *fields).occurrence();
      const auto found = used_.find(occurrence);
      if (nodes_ != nullptr && found == used_.end()) {
        nodes_->add_return(occurrence, told(index));
      } else if (found == used_.end() || found->second.burned) {
        add(index, "returns a signature again that no entry says was made");
      }
    } else if (type == name_of(EventType::reservation_burned)) {
      burn(index, {text_of(*fields, "authorisation"), text_of(*fields, "position")});
    }
  }
  [[nodiscard]] std::uint64_t signatures() const noexcept { return signatures_; }
  [[nodiscard]] std::uint64_t open() const noexcept { return open_.size(); }

 private:
  using Occurrence = std::pair<std::string, std::string>;

  /// What intent and outcome say alike, by name.
  struct Facts {
    static constexpr std::array names{"authorisation", "position", "suite", "digest", "certificate", "actor", "subject"};
    std::array<std::string, names.size()> values;
    [[nodiscard]] Occurrence occurrence() const { return {values[0], values[1]}; }
  };
  struct Use {
    std::uint64_t index;
    bool burned;
    [[nodiscard]] std::string told() const { return (burned ? "burned by " : "signed by ") + entry_name(index); }
  };

  static Facts facts_of(const json::Value& event, const json::Value& fields) {
    Facts facts;
    for (std::size_t at = 0; at < Facts::names.size(); ++at) facts.values[at] = text_of(at < 5 ? fields : event, Facts::names[at]);
    return facts;
  }

  void add(std::uint64_t index, const std::string& what) { findings_.add(index, entry_name(index) + ' ' + what); }

  void reserve(std::uint64_t index, Facts facts) {
    const auto occurrence = facts.occurrence();
    const auto used = used_.find(occurrence);
    if (used != used_.end()) add(index, "reserves an occurrence that was " + used->second.told());
    const auto [reserved, fresh] = reserved_.emplace(occurrence, index);
    if (!fresh) {
      add(index, "reserves an occurrence that is reserved by " + entry_name(reserved->second));
      reserved->second = index;
    }
    open_.emplace(index, std::move(facts));
  }

  void use(std::uint64_t index, const Facts& facts, bool burned) {
    const auto [used, fresh] = used_.emplace(facts.occurrence(), Use{index, burned});
    if (fresh) tell_nodes(facts.occurrence(), index, burned);
    if (!fresh) add(index, std::string(burned ? "burns" : "signs") + " an occurrence that was " + used->second.told());
  }

  void close(std::uint64_t index, const json::Value& event, const json::Value& fields) {
    const auto intent = text_of(fields, "intent");
    std::uint64_t number = Findings::whole_log;
    std::from_chars(intent.data(), intent.data() + intent.size(), number);
    const auto found = open_.find(number);
    if (found == open_.end()) {
      add(index, "is the outcome of an intent that is not open: " + (intent.empty() ? "none named" : intent));
      return;
    }
    const auto facts = facts_of(event, fields);
    for (std::size_t at = 0; at < Facts::names.size(); ++at) {
      if (facts.values[at] != found->second.values[at])
        add(index, std::string("differs in \"") + Facts::names[at] + "\" from its intent, " + entry_name(number));
    }
    release(found);
  }

  void burn(std::uint64_t index, const Occurrence& occurrence) {
    const auto reserved = reserved_.find(occurrence);
    if (reserved == reserved_.end()) {
      add(index, "burns a reservation that is not open");
      return;
    }
    if (used_.emplace(occurrence, Use{index, true}).second) tell_nodes(occurrence, index, true);
    release(open_.find(reserved->second));
  }

  void release(std::map<std::uint64_t, Facts>::iterator intent) {
    const auto reserved = reserved_.find(intent->second.occurrence());
    if (reserved != reserved_.end() && reserved->second == intent->first) reserved_.erase(reserved);
    open_.erase(intent);
  }

  [[nodiscard]] std::string told(std::uint64_t index) const { return entry_name(index) + " of " + origin_; }
  void tell_nodes(const Occurrence& occurrence, std::uint64_t index, bool burned) {
    if (nodes_ != nullptr) nodes_->add_use(occurrence, told(index), burned);
  }

  Findings& findings_;
  OccurrencesOfNodes* const nodes_;
  const std::string& origin_;
  std::map<std::uint64_t, Facts> open_;            ///< by the index of the intent
  std::map<Occurrence, std::uint64_t> reserved_;  ///< the same, by occurrence
  std::map<Occurrence, Use> used_;
  std::uint64_t signatures_ = 0;
};

class Verification {
 public:
  Verification(const LogConfig& config, const crypto::PublicKey& signer, const std::function<void(std::string_view event)>& each,
               OccurrencesOfNodes* nodes)
      : config_(config),
        signer_(signer),
        each_(each),
        tiles_(config.directory),
        intents_(findings_, nodes, config.origin),
        head_(detail::empty_head(config.origin)) {}

  [[nodiscard]] Result<VerifyReport> run(storage::Database& database) {
    read_anchor();
    read_checkpoint();
    auto read = database.read([&](storage::Reader& reader) {
      return detail::each_entry(reader, 0, static_cast<std::uint64_t>(INT64_MAX), [&](const Entry& entry) {
        see(entry);
        if (each_) each_(as_text(entry.event));
        return true;
      });
    });
    // A value that is not of our making ends the reading; the entry that holds it is named already.
    if (!read) findings_.add(head_.size, "the entries cannot be read beyond " + entry_name(head_.size) + ": " + read.error().detail);
    check_end();
    auto sentences = findings_.sentences();
    return VerifyReport{sentences.empty(), head_.size, intents_.signatures(), intents_.open(), std::move(sentences)};
  }

 private:
  void read_anchor() {
    auto read = detail::Anchor::read(config_.anchor);
    if (read) {
      anchor_ = *read;
    } else {
      findings_.add(Findings::whole_log, "the anchor cannot be read: " + read.error().detail);
    }
  }

  void read_checkpoint() {
    auto note = read_file(config_.directory / "checkpoint", max_note_size);
    if (!note) {
      findings_.add(Findings::whole_log, "the checkpoint cannot be read: " + note.error().detail);
      return;
    }
    auto read = detail::verify_checkpoint(as_text(*note), config_.origin, signer_);
    if (read) {
      checkpoint_ = std::move(*read);
    } else {
      findings_.add(Findings::whole_log, read.error().detail);
    }
  }

  void see(const Entry& entry) {
    if (entry.index != head_.size) {
      findings_.add(head_.size, entry_name(head_.size) + " is missing");
      head_ = {entry.index, head_.running};
      chain_known_ = false;
    }
    check_entry(entry);
    head_ = {entry.index + 1, entry.running};
    chain_known_ = true;
    if (anchor_ && anchor_->size == head_.size && anchor_->running != head_.running) {
      findings_.add(entry.index, "the entries up to " + entry_name(entry.index) + " are not those that the anchor vouches for");
    }
    grow(entry);
  }

  void check_entry(const Entry& entry) {
    const auto name = entry_name(entry.index);
    if (detail::hash_of_leaf(entry.event) != entry.leaf) findings_.add(entry.index, name + " was edited: its hash differs");
    if (chain_known_ && detail::next_running(head_.running, entry.leaf) != entry.running) {
      findings_.add(entry.index, name + " does not continue the chain: it or the one before was changed");
    }
    auto event = json::parse(as_text(entry.event), {.max_bytes = detail::max_entry_size});
    if (!event) {
      findings_.add(entry.index, name + " is not an event");
      return;
    }
    auto own = json::integer_member(*event, "index");
    if (!own || static_cast<std::uint64_t>(*own) != entry.index) findings_.add(entry.index, name + " says that it is another entry");
    check_kind(entry.index, *event);
    intents_.see(entry.index, *event);
  }

  void check_kind(std::uint64_t index, const json::Value& event) {
    std::vector<std::string_view> names;
    if (const auto* fields = json::member(event, "fields"); fields != nullptr && fields->is_object()) {
      for (auto field = fields->begin(); field != fields->end(); ++field) names.emplace_back(field.key());
    }
    const auto known = check_fields(text_of(event, "type"), names);
    if (!known) findings_.add(index, entry_name(index) + " is not of the catalogue: " + known.error().detail);
  }

  /// The tree over what the entries hold now; compared with the tiles as they fill and with the checkpoint at its size.
  void grow(const Entry& entry) {
    // Behind a gap every place would differ; the gap is named.
    if (!checkpoint_ || entry.index != edge_.size() || edge_.size() >= checkpoint_->size) return;
    const auto grown =
        edge_.append(detail::hash_of_leaf(entry.event), [&](unsigned level, std::uint64_t index, std::span<const Hash> hashes) {
          compare_tile(level, index, hashes);
          return Status();
        });
    if (!grown) panic("audit: a comparison cannot be refused");
    bundle_.push_back(entry.event);
    if (bundle_.size() == detail::tile_width) compare_bundle();
    if (edge_.size() != checkpoint_->size) return;
    for (unsigned level = 0; level < edge_.levels().size(); ++level) {
      const auto& hashes = edge_.levels()[level];
      if (!hashes.empty()) compare_tile(level, edge_.size() >> (detail::tile_height * (level + 1)), hashes);
    }
    if (!bundle_.empty()) compare_bundle();
    if (edge_.root() != checkpoint_->root)
      findings_.add(Findings::whole_log, "the entries do not lead to the root that the checkpoint signs");
  }

  void compare_tile(unsigned level, std::uint64_t index, std::span<const Hash> hashes) {
    auto stored = tiles_.read_tile(level, index, hashes.size());
    if (!stored) {
      findings_.add(Findings::whole_log, stored.error().detail);
      return;
    }
    for (std::size_t at = 0; at < hashes.size(); ++at) {
      if ((*stored)[at] == hashes[at]) continue;
      // Higher levels repeat what level 0 says exactly, unless they alone were changed.
      const auto entry = index * detail::tile_width + at;
      findings_.add(level == 0 ? entry : Findings::whole_log,
                    level == 0 ? entry_name(entry) + " differs from its tile"
                               : "tile " + std::to_string(level) + '/' + detail::Tiles::encode_index(index) + " differs from the entries");
      return;
    }
  }

  void compare_bundle() {
    const auto first = edge_.size() - bundle_.size();
    auto stored = tiles_.read_bundle(first / detail::tile_width, bundle_.size());
    if (!stored) {
      findings_.add(Findings::whole_log, stored.error().detail);
    } else if (*stored != bundle_) {
      const auto differs = std::mismatch(bundle_.begin(), bundle_.end(), stored->begin()).first;
      const auto index = first + static_cast<std::uint64_t>(differs - bundle_.begin());
      findings_.add(index, entry_name(index) + " differs from its bundle");
    }
    bundle_.clear();
  }

  void check_end() {
    const auto lacking = [&](std::uint64_t size, const char* witness) {
      findings_.add(head_.size, "the log was cut: it ends before " + entry_name(head_.size) + ", the " + witness + " vouches for " +
                                    std::to_string(size) + " entries");
    };
    if (anchor_ && anchor_->size > head_.size) lacking(anchor_->size, "anchor");
    if (checkpoint_ && checkpoint_->size > head_.size) lacking(checkpoint_->size, "checkpoint");
    if (anchor_ && checkpoint_ && checkpoint_->size > anchor_->size) {
      findings_.add(Findings::whole_log, "the checkpoint holds more entries than the anchor vouches for: the anchor was put back");
    }
  }

  const LogConfig& config_;
  const crypto::PublicKey& signer_;
  const std::function<void(std::string_view event)>& each_;
  const detail::Tiles tiles_;
  Findings findings_;
  Reconciliation intents_;
  std::optional<Head> anchor_;
  std::optional<detail::Checkpoint> checkpoint_;
  Head head_;
  bool chain_known_ = true;
  detail::Edge edge_;
  std::vector<Bytes> bundle_;
};

}  // namespace

Result<VerifyReport> verify_log(const LogConfig& config, const std::filesystem::path& database, const crypto::PublicKey& signer,
                                const std::function<void(std::string_view event)>& each) {
  auto opened = storage::open_sqlite_read_only(database);
  if (!opened) return opened.error();
  return verify_log(config, **opened, signer, each);
}

Result<VerifyReport> verify_log(const LogConfig& config, storage::Database& database, const crypto::PublicKey& signer,
                                const std::function<void(std::string_view event)>& each, OccurrencesOfNodes* nodes) {
  return Verification(config, signer, each, nodes).run(database);
}

void OccurrencesOfNodes::add_use(const Occurrence& occurrence, std::string entry, bool burned) {
  const auto [earlier, fresh] = used_.emplace(occurrence, Use{entry, burned});
  if (!fresh)
    doubled_.push_back(std::move(entry) + (burned ? " burns" : " signs") + " an occurrence that was " +
                       (earlier->second.burned ? "burned by " : "signed by ") + earlier->second.entry);
}

void OccurrencesOfNodes::add_return(Occurrence occurrence, std::string entry) {
  returned_.emplace_back(std::move(occurrence), std::move(entry));
}

std::vector<std::string> OccurrencesOfNodes::findings() const {
  auto found = doubled_;
  for (const auto& [occurrence, entry] : returned_) {
    const auto made = used_.find(occurrence);
    if (made == used_.end() || made->second.burned) found.push_back(entry + " returns a signature again that no entry says was made");
  }
  return found;
}

Result<std::vector<std::string>> nodes_with_a_log(storage::Database& database) {
  std::vector<std::string> nodes;
  auto read = database.read([&](storage::Reader& reader) {
    return reader.query("SELECT DISTINCT node FROM audit_node_entries ORDER BY node", {}, [&](const storage::Row& row) {
      nodes.push_back(row.text(0));
      return true;
    });
  });
  if (!read) return read.error();
  return nodes;
}

}  // namespace intaglio::audit
