#include "audit/log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "audit/detail/integrator.h"
#include "audit/detail/receipt.h"
#include "audit/remains.h"
#include "base/check.h"
#include "base/log.h"
#include "json/json.h"

namespace intaglio::audit {

using detail::Head;

namespace {

/// Entries wait this long for company before they are integrated; the promise is one second.
constexpr auto gathering_time = std::chrono::milliseconds(250);
constexpr auto retry_time = std::chrono::milliseconds(500);

Error unavailable(const std::string& why) { return {ErrorCode::audit_unavailable, "audit: " + why}; }
Error unavailable(const Error& cause) { return {ErrorCode::audit_unavailable, cause.detail}; }

constexpr std::uint64_t max_entries_in_a_search = 20'000;

Result<bool> matches_selection(const detail::Entry& entry, const Selection& selection) {
  auto event = json::parse(as_text(entry.event));
  if (!event) return Error{ErrorCode::audit_unavailable, "entry " + std::to_string(entry.index) + " is no event"};
  for (const auto& [name, wanted] : {std::pair{"type", &selection.type}, {"actor", &selection.actor}, {"subject", &selection.subject}}) {
    if (!*wanted) continue;
    auto value = json::text_member(*event, name);
    if (!value) return value.error();
    if (*value != **wanted) return false;
  }
  if (!selection.since && !selection.until) return true;
  auto time = json::text_member(*event, "time", 64);
  if (!time) return time.error();
  // "2026-11-20T10:37:00.125Z": cut to the second, moments of this form are ordered as texts.
  const auto second = time->substr(0, 19);
  return !(selection.since && second < format_utc(*selection.since).substr(0, 19)) &&
         !(selection.until && second >= format_utc(*selection.until).substr(0, 19));
}

/// What can be wrong, each found and cured by another part.
enum class Part { storage, anchor, integration, tampering };

}  // namespace

/// Shared with the commit hook, which the database keeps for its own life.
struct Core {
  Core(LogConfig configuration, storage::Database& owner, std::shared_ptr<const crypto::Signer> signer, std::shared_ptr<const Clock> time)
      : config(std::move(configuration)),
        database(owner),
        clock(std::move(time)),
        empty(detail::empty_head(config.origin)),
        integrator(config.origin, config.directory, owner, std::move(signer)) {}

  const LogConfig config;
  storage::Database& database;
  const std::shared_ptr<const Clock> clock;
  const Head empty;

  // Of whoever is in the database's transaction or its commit hook: one thread at a time.
  Head committed{};            ///< what the last commit left
  std::vector<Head> pending;   ///< what was appended since; the end of it may have been rolled back

  std::unique_ptr<detail::Anchor> anchor;
  bool restoring = false;      ///< the anchor stays where it is
  std::atomic<std::uint64_t> size = 0;

  mutable std::mutex faults_mutex;
  std::array<std::optional<Error>, 4> faults;
  std::atomic<bool> faulty = false;

  std::mutex integration_mutex;
  detail::Integrator integrator;
  std::mutex published_mutex;
  std::string published;

  std::mutex wake_mutex;
  std::condition_variable wake;
  bool stopping = false;
  bool work_waits = false;

  Status open();
  Status open_for_restore();
  /// Appends what stands, after `before`; the leaf.
  [[nodiscard]] Result<detail::Hash> put(storage::Transaction& transaction, const Head& before, Bytes event);
  Status replay(storage::Transaction& transaction, const Remains& remains);
  Status end_restore();
  Status catch_up(storage::Reader& reader, const Head& anchored, Head& head) const;
  Status check_head(const Head& head);
  [[nodiscard]] Result<EntryReference> append(storage::Transaction& transaction, const Event& event);
  [[nodiscard]] Result<Head> head_of_database();
  Status committed_hook();
  Status integrate();
  void serve();
  void maintain();
  void wake_up();

  void note(Part part, const Error& error);
  void cure(Part part);
  [[nodiscard]] bool has(Part part) const;
  [[nodiscard]] Status healthy() const;
};

Result<Head> Core::head_of_database() {
  Head head{};
  auto read = database.read([&](storage::Reader& reader) -> Status {
    auto found = detail::read_head(reader, empty);
    if (!found) return found.error();
    head = *found;
    return {};
  });
  if (!read) return unavailable(read.error());
  return head;
}

Status Core::open() {
  if (!detail::is_origin(config.origin)) return Error{ErrorCode::configuration, "audit: not an origin: " + config.origin};
  auto kept = head_of_database();
  if (!kept) return kept.error();
  Head head = *kept;
  auto opened = detail::Anchor::open(config.anchor, head == empty ? std::optional(empty) : std::nullopt);
  if (!opened) return opened.error();
  anchor = std::move(*opened);
  const auto anchored = anchor->head();
  auto checked = database.read([&](storage::Reader& reader) { return catch_up(reader, anchored, head); });
  if (!checked) return unavailable(checked.error());
  if (auto stored = anchor->store(head); !stored) return stored;
  committed = head;
  size = head.size;
  if (auto ready = integrator.open(); !ready) return unavailable(ready.error());
  published = integrator.note();
  return {};
}

/// The anchor may be behind by the commits whose outcome was not released yet when the process ended, never ahead.
Status Core::catch_up(storage::Reader& reader, const Head& anchored, Head& head) const {
  auto running = detail::read_running(reader, anchored.size, empty);
  if (!running) return running.error();
  if (refused_by("audit.anchor_differs", !*running || **running != anchored.running)) {
    return unavailable("the first " + std::to_string(anchored.size) +
                       " entries are not those that the anchor vouches for; the database has " + std::to_string(head.size) +
                       ". It is older than what this log has seen, or another one: bring its newest copy back, and let no node serve from "
                       "this one (docs/operate/backup.md)");
  }
  Head reached = anchored;
  Status linked;
  auto read = detail::each_entry(reader, anchored.size, head.size, [&](const detail::Entry& entry) {
    linked = detail::verify_link(entry, reached);
    // The anchor does not know these yet: only the MAC tells a commit of ours from a row that an administrator chained on.
    const bool ours = !config.entry_mac || same_secret(config.entry_mac(entry.running), entry.mac);
    if (linked && refused_by("audit.entry_not_ours", !ours)) {
      linked = unavailable("entry " + std::to_string(entry.index) + " was not written by this log");
    }
    reached = {entry.index + 1, entry.running};
    return static_cast<bool>(linked);
  });
  if (!read) return read;
  if (!linked) return linked;
  if (reached.size > anchored.size) log::warn("audit.recovered", {{"entries", std::to_string(reached.size - anchored.size)}});
  head = reached;
  return {};
}

/// Nobody but this process may have moved the end of the log. What was appended beyond this head was rolled back.
Status Core::check_head(const Head& head) {
  while (!pending.empty() && pending.back().size > head.size) pending.pop_back();
  const auto& known = pending.empty() ? committed : pending.back();
  if (refused_by("audit.head_is_ours", head != known)) return unavailable("somebody changed the end of the log in the database");
  return {};
}

Result<EntryReference> Core::append(storage::Transaction& transaction, const Event& event) {
  if (auto known = check_fields(event); refused_by("audit.catalogue", !known)) {
    log::refusal("audit.uncatalogued", known.error());
    return known.error();
  }
  if (auto ready = healthy(); !ready) return ready.error();
  auto head = detail::read_head(transaction, empty);
  if (!head) {
    note(Part::storage, head.error());
    return unavailable(head.error());
  }
  if (auto ours = check_head(*head); !ours) {
    note(Part::tampering, ours.error());
    return ours.error();
  }
  const auto text = canonical(event, *clock, head->size);
  if (text.size() > detail::max_entry_size) return Error{ErrorCode::too_large, "audit: the event is too large"};
  auto leaf = put(transaction, *head, to_bytes(text));
  if (!leaf) return leaf.error();
  return EntryReference{config.origin, head->size, *leaf};
}

Result<detail::Hash> Core::put(storage::Transaction& transaction, const Head& before, Bytes event) {
  detail::Entry entry{before.size, std::move(event), {}, {}, {}};
  entry.leaf = detail::hash_of_leaf(entry.event);
  entry.running = detail::next_running(before.running, entry.leaf);
  if (config.entry_mac) entry.mac = config.entry_mac(entry.running);
  if (auto inserted = detail::insert_entry(transaction, entry); !inserted) {
    note(Part::storage, inserted.error());
    return unavailable(inserted.error());
  }
  pending.push_back({entry.index + 1, entry.running});
  return entry.leaf;
}

Status Core::open_for_restore() {
  auto kept = head_of_database();
  if (!kept) return kept.error();
  Head head = *kept;
  auto opened = detail::Anchor::open(config.anchor, std::nullopt);
  if (!opened) return opened.error();
  anchor = std::move(*opened);
  committed = head;
  size = head.size;
  restoring = true;
  return {};
}

Status Core::replay(storage::Transaction& transaction, const Remains& remains) {
  Head reached = committed;
  auto replayed = remains.each_missing([&](std::string_view event) -> Status {
    auto leaf = put(transaction, reached, to_bytes(event));
    if (!leaf) return leaf.error();
    reached = pending.back();
    return {};
  });
  if (!replayed) return replayed;
  for (auto lost = remains.lost(); lost > 0; --lost) {
    auto filled = append(
        transaction,
        Event{.type = EventType::entry_lost, .actor = "restore", .subject = config.origin, .outcome = Outcome::failed, .fields = {}});
    if (!filled) return filled.error();
  }
  return {};
}

Status Core::end_restore() {
  if (auto stored = anchor->store(committed); !stored) return stored;
  restoring = false;
  size = committed.size;
  if (auto ready = integrator.open(); !ready) return unavailable(ready.error());
  return integrate();
}

/// After the commit and before its callers are released.
Status Core::committed_hook() {
  cure(Part::storage);
  if (pending.empty()) return {};
  Head head{};
  auto read = database.read([&](storage::Reader& reader) -> Status {
    auto found = detail::read_head(reader, empty);
    if (!found) return found.error();
    head = *found;
    return {};
  });
  if (!read) {
    note(Part::storage, read.error());
    return unavailable(read.error());
  }
  if (auto ours = check_head(head); !ours) {
    note(Part::tampering, ours.error());
    return ours;
  }
  pending.clear();
  committed = head;
  if (restoring) return {};
  fault_point("audit.before_anchor");
  if (auto stored = anchor->store(head); !stored) {
    note(Part::anchor, stored.error());
    return stored;
  }
  cure(Part::anchor);
  size.store(head.size);
  wake_up();
  return {};
}

Status Core::integrate() {
  const std::lock_guard lock(integration_mutex);
  auto done = integrator.integrate(anchor->head());
  if (!done) {
    note(Part::integration, done.error());
    return unavailable(done.error());
  }
  cure(Part::integration);
  const std::lock_guard publishing(published_mutex);
  published = integrator.note();
  return {};
}

void Core::wake_up() {
  {
    const std::lock_guard lock(wake_mutex);
    if (work_waits) return;
    work_waits = true;
  }
  wake.notify_all();
}

void Core::serve() {
  std::unique_lock lock(wake_mutex);
  while (!stopping) {
    wake.wait_for(lock, retry_time, [this] { return stopping || work_waits; });
    if (!stopping) wake.wait_for(lock, gathering_time, [this] { return stopping; });
    if (stopping) return;
    if (!work_waits && !faulty) continue;
    work_waits = false;
    lock.unlock();
    maintain();
    lock.lock();
  }
}

/// Tries again whatever failed; a log that only waited for the next event could stay refused for ever.
void Core::maintain() {
  if (has(Part::storage) || has(Part::anchor)) {
    auto probed = database.write([&](storage::Transaction& transaction) -> Status {
      auto mark = detail::read_tree_mark(transaction);
      if (!mark) return mark.error();
      if (auto written = detail::write_tree_mark(transaction, *mark); !written) return written;
      // Inside the transaction: what the last commit left is what the anchor lacks.
      auto stored = anchor->store(committed);
      if (!stored) return stored;
      cure(Part::anchor);
      size.store(committed.size);
      return {};
    });
    if (!probed) note(has(Part::anchor) ? Part::anchor : Part::storage, probed.error());
  }
  // A failure is noted, said once, and tried again.
  static_cast<void>(integrate());
}

void Core::note(Part part, const Error& error) {
  const std::lock_guard lock(faults_mutex);
  auto& fault = faults[static_cast<std::size_t>(part)];
  if (!fault) log::error("audit.unavailable", {{"detail", error.detail}});
  fault = unavailable(error);
  faulty = true;
}

void Core::cure(Part part) {
  if (!faulty) return;
  const std::lock_guard lock(faults_mutex);
  auto& fault = faults[static_cast<std::size_t>(part)];
  if (!fault) return;
  fault.reset();
  faulty = std::any_of(faults.begin(), faults.end(), [](const auto& other) { return other.has_value(); });
  if (!faulty) log::info("audit.available");
}

bool Core::has(Part part) const {
  const std::lock_guard lock(faults_mutex);
  return faults[static_cast<std::size_t>(part)].has_value();
}

Status Core::healthy() const {
  if (!faulty) return {};
  const std::lock_guard lock(faults_mutex);
  for (const auto& fault : faults) {
    if (fault) return *fault;
  }
  return {};
}

struct Log::State {
  std::shared_ptr<Core> core;
  std::thread thread;
};

namespace {

void attach(const std::shared_ptr<Core>& core) {
  core->database.on_commit([weak = std::weak_ptr(core)]() -> Status {
    const auto alive = weak.lock();
    return alive ? alive->committed_hook() : Status();
  });
}

}  // namespace

Result<std::unique_ptr<Log>> Log::open(LogConfig config, storage::Database& database, std::shared_ptr<const crypto::Signer> signer,
                                       std::shared_ptr<const Clock> clock) {
  auto core = std::make_shared<Core>(std::move(config), database, std::move(signer), std::move(clock));
  if (auto opened = core->open(); !opened) return opened.error();
  attach(core);
  core->work_waits = true;
  auto state = std::make_unique<State>(State{core, std::thread([core] { core->serve(); })});
  return std::unique_ptr<Log>(new Log(std::move(state)));
}

Result<std::unique_ptr<Log>> Log::open_for_restore(LogConfig config, storage::Database& database,
                                                   std::shared_ptr<const crypto::Signer> signer, std::shared_ptr<const Clock> clock) {
  auto core = std::make_shared<Core>(std::move(config), database, std::move(signer), std::move(clock));
  if (auto opened = core->open_for_restore(); !opened) return opened.error();
  attach(core);
  return std::unique_ptr<Log>(new Log(std::make_unique<State>(State{core, {}})));
}

Status Log::replay(storage::Transaction& transaction, const Remains& remains) { return state_->core->replay(transaction, remains); }

Status Log::end_restore() { return state_->core->end_restore(); }

Log::Log(std::unique_ptr<State> state) : state_(std::move(state)) {}

Log::~Log() {
  auto& core = *state_->core;
  {
    const std::lock_guard lock(core.wake_mutex);
    core.stopping = true;
  }
  core.wake.notify_all();
  if (!state_->thread.joinable()) return;
  state_->thread.join();
  if (auto done = core.integrate(); !done) log::refusal("audit.integration_failed", done.error());
}

Result<EntryReference> Log::append(storage::Transaction& transaction, const Event& event) {
  return state_->core->append(transaction, event);
}

Result<EntryReference> Log::record(const Event& event) {
  std::optional<EntryReference> reference;
  auto written = state_->core->database.write([&](storage::Transaction& transaction) -> Status {
    auto appended = state_->core->append(transaction, event);
    if (!appended) return appended.error();
    reference = std::move(*appended);
    return {};
  });
  if (written) return *reference;
  if (written.error().code != ErrorCode::storage_unavailable) return written.error();
  state_->core->note(Part::storage, written.error());
  return unavailable(written.error());
}

Result<std::string> Log::receipt(std::uint64_t index) {
  auto& core = *state_->core;
  std::string note;
  {
    const std::lock_guard lock(core.published_mutex);
    note = core.published;
  }
  const auto not_yet = Error{ErrorCode::not_found, "audit: entry " + std::to_string(index) + " is not integrated"};
  if (note.empty()) return not_yet;
  auto checkpoint = detail::verify_checkpoint(note, core.config.origin, core.integrator.public_key());
  if (!checkpoint) return unavailable(checkpoint.error());
  if (index >= checkpoint->size) return not_yet;
  std::optional<detail::Entry> entry;
  auto read = core.database.read([&](storage::Reader& reader) -> Status {
    auto found = detail::read_entry(reader, index);
    if (!found) return found.error();
    entry = std::move(*found);
    return {};
  });
  if (!read) return unavailable(read.error());
  if (!entry) return unavailable("entry " + std::to_string(index) + " is missing");
  return detail::make_receipt(*entry, *checkpoint, note, core.integrator.tiles());
}

Result<SelectedEvents> Log::select(storage::Reader& reader, const Selection& selection) const {
  const auto size = state_->core->size.load();
  SelectedEvents selected{.events = {}, .next = std::min(selection.from, size), .size = size};
  const auto end = std::min(size, selected.next + max_entries_in_a_search);
  Status readable;
  auto read = detail::each_entry(reader, selected.next, end, [&](const detail::Entry& entry) {
    auto matches = matches_selection(entry, selection);
    if (!matches) {
      readable = unavailable(matches.error());
      return false;
    }
    if (*matches) selected.events.emplace_back(as_text(entry.event));
    selected.next = entry.index + 1;
    return selected.events.size() < selection.limit;
  });
  if (!read) return unavailable(read.error());
  if (!readable) return readable.error();
  return selected;
}

Status Log::healthy() const { return state_->core->healthy(); }

std::uint64_t Log::size() const noexcept { return state_->core->size.load(); }

Result<std::string> Log::checkpoint_now() {
  if (auto done = state_->core->integrate(); !done) return done.error();
  const std::lock_guard lock(state_->core->published_mutex);
  return state_->core->published;
}

const std::vector<storage::Migration>& Log::migrations() { return detail::entry_migrations(); }

}  // namespace intaglio::audit
