#include "registration/jobs.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/test_support.h"
#include "crypto/signer.h"
#include "json/json.h"
#include "notice/testing.h"
#include "registration/key_requests.h"
#include "registration/occasions.h"
#include "storage/test_support.h"

namespace intaglio::registration {
namespace {

using test::must;

class Silent final : public notice::Notifier {
 public:
  Status deliver(const notice::Message&) override { return {}; }
};

constexpr auto day = std::chrono::hours(24);

class JobsTest : public testing::Test {
 protected:
  JobsTest() {
    open();
    must(outbox_->record_contact(ada_, {"ada@example.gr", "", "en"}, "ra-1"));
  }
  ~JobsTest() override { close(); }
  void open() {
    database_ = must(storage::test::open_database(folder_ / "ssa.db"));
    for (const auto* series : {&migrations(), &audit::Log::migrations()}) must(database_->migrate(*series));
    log_ = must(audit::Log::open({"intaglio/ssa/test", folder_ / "audit", folder_ / "anchor"}, *database_, log_key_, clock_));
    outbox_ = must(notice::open_testing_outbox(database_, *log_, clock_, std::filesystem::path(INTAGLIO_SOURCE_DIR) / "deploy/notices",
                                               folder_ / "versions", std::make_shared<Silent>()));
    enrolments_ = std::make_shared<Enrolments>(database_, clock_, *log_);
    occasions_ = std::make_shared<const Occasions>(outbox_, clock_);
    enrolments_->follow_with([this](storage::Transaction& transaction, const Enrolment& line, EnrolmentState from) {
      occasions_->changed(transaction, line, from);
    });
    jobs_ = std::make_unique<Jobs>(database_, clock_, *log_, enrolments_, outbox_);
  }
  void close() {
    jobs_.reset();
    occasions_.reset();
    enrolments_.reset();
    outbox_.reset();
    log_.reset();
    database_.reset();
  }
  void stand(const std::string& key, EnrolmentState state, std::optional<UnixTime> ends = std::nullopt) {
    const auto id = key.empty() ? std::optional<KeyId>() : std::optional<KeyId>(must(KeyId::parse(key)));
    must(enrolments_->change({ada_, id, state, "test", {}, {}, ends}));
  }
  /// The kinds in the queue, in their order of creation within one test: sorted by name.
  [[nodiscard]] std::string queued() const {
    std::string kinds;
    must(database_->read([&](storage::Reader& reader) -> Status {
      return reader.query("SELECT kind, COUNT(*) FROM notice_outbox GROUP BY kind ORDER BY kind", {}, [&](const storage::Row& row) {
        kinds += row.text(0) + " " + std::to_string(row.integer(1)) + ";";
        return true;
      });
    }));
    return kinds;
  }
  [[nodiscard]] std::vector<std::string> runs() const {
    std::vector<std::string> told;
    must(database_->read([&](storage::Reader& reader) -> Status {
      const auto selected = must(log_->select(reader, {}));
      for (const auto& text : selected.events) {
        const auto event = must(json::parse(text));
        if (event.at("type") != "job.ran") continue;
        told.push_back(event.at("actor").get<std::string>() + " " + event.at("subject").get<std::string>() + " " +
                       event.at("fields").at("found").get<std::string>());
      }
      return {};
    }));
    return told;
  }

  const SignerId ada_ = must(SignerId::parse("ada"));
  test::TemporaryFolder folder_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(from_unix_seconds(1795849500));
  std::shared_ptr<crypto::Signer> log_key_ = must(crypto::SoftwareKey::generate());
  std::shared_ptr<storage::Database> database_;
  std::unique_ptr<audit::Log> log_;
  std::shared_ptr<notice::Outbox> outbox_;
  std::shared_ptr<Enrolments> enrolments_;
  std::shared_ptr<const Occasions> occasions_;
  std::unique_ptr<Jobs> jobs_;
};

TEST_F(JobsTest, TellOfAnEndWithin30DaysAndWithin7OnceEach) {
  stand("key-1", EnrolmentState::key_certified, clock_->now() + 31 * day);
  must(jobs_->run_due());
  EXPECT_EQ(queued(), "certificate_issued 1;");
  clock_->advance(day);
  must(jobs_->run_due());
  EXPECT_EQ(queued(), "certificate_ends_30 1;certificate_issued 1;");
  for (int i = 0; i < 22; ++i) {
    clock_->advance(day);
    must(jobs_->run_due());
  }
  EXPECT_EQ(queued(), "certificate_ends_30 1;certificate_issued 1;");
  clock_->advance(day);
  must(jobs_->run_due());
  EXPECT_EQ(queued(), "certificate_ends_30 1;certificate_ends_7 1;certificate_issued 1;");
  clock_->advance(30 * day);
  must(jobs_->run_due());
  EXPECT_EQ(queued(), "certificate_ends_30 1;certificate_ends_7 1;certificate_issued 1;");
}

TEST_F(JobsTest, TellOnlyTheNearerEnd) {
  stand("key-1", EnrolmentState::key_certified, clock_->now() + 3 * day);
  must(jobs_->run_due());
  EXPECT_EQ(queued(), "certificate_ends_7 1;certificate_issued 1;");
}

TEST_F(JobsTest, TellNothingOfWhatIsEndedAlreadyOrSignsNoMore) {
  stand("key-1", EnrolmentState::key_certified, clock_->now());
  stand("key-2", EnrolmentState::key_certified, clock_->now() + 3 * day);
  stand("key-2", EnrolmentState::revoked);
  must(jobs_->run_due());
  EXPECT_EQ(queued(), "certificate_issued 2;revoked 1;");
}

TEST_F(JobsTest, TellTheOthersWhenOneContactDoesNotOpen) {
  const auto bob = must(SignerId::parse("bob"));
  must(outbox_->record_contact(bob, {"bob@example.gr", "", "en"}, "ra-1"));
  const auto ends = clock_->now() + 3 * day;
  stand("key-1", EnrolmentState::key_certified, ends);
  must(enrolments_->change({bob, must(KeyId::parse("key-2")), EnrolmentState::key_certified, "test", {}, {}, ends}));
  const auto shift = [&](const std::string& by) {
    must(database_->write([&](storage::Transaction& transaction) -> Status {
      const auto changed = transaction.execute("UPDATE notice_contacts SET version = version " + by + " WHERE id = 'ada'", {});
      return changed ? Status() : Status(changed.error());
    }));
  };
  shift("+ 1");
  must(jobs_->run_due());
  EXPECT_EQ(queued(), "certificate_ends_7 1;certificate_issued 2;");
  shift("- 1");
  clock_->advance(day);
  must(jobs_->run_due());
  EXPECT_EQ(queued(), "certificate_ends_7 2;certificate_issued 2;") << "once it opens again";
}

TEST_F(JobsTest, RunOnceADayAndOutliveTheProcess) {
  stand("key-1", EnrolmentState::key_certified, clock_->now() + 3 * day);
  must(jobs_->run_due());
  must(jobs_->run_due());
  EXPECT_EQ(runs(), (std::vector<std::string>{"ssa certificate_ends_30 0", "ssa certificate_ends_7 1"}));
  close();
  open();
  clock_->advance(day - std::chrono::seconds(1));
  must(jobs_->run_due());
  EXPECT_EQ(runs().size(), 2U);
  clock_->advance(std::chrono::seconds(1));
  must(jobs_->run_due());
  EXPECT_EQ(runs().size(), 4U);
  EXPECT_EQ(runs().back(), "ssa certificate_ends_7 0") << "told once";
}

TEST_F(JobsTest, RunWhenAnOperatorAsks) {
  EXPECT_FALSE(must(jobs_->list()).front().ran);
  EXPECT_EQ(jobs_->run("something_else", "tls:CN=ra-1").error().code, ErrorCode::not_found);
  EXPECT_EQ(must(jobs_->run("certificate_ends_7", "tls:CN=ra-1")).found, 0);
  EXPECT_EQ(runs(), (std::vector<std::string>{"tls:CN=ra-1 certificate_ends_7 0"}));
  EXPECT_EQ(must(jobs_->list()).back().ran, clock_->now());
}

TEST_F(JobsTest, OccasionsOfTheRegisterPutNoticesIn) {
  stand("", EnrolmentState::code_sent);
  EXPECT_EQ(queued(), "activation_code 1;enrolment_link 1;");
  stand("", EnrolmentState::device_registered);
  stand("key-1", EnrolmentState::key_made);
  stand("key-1", EnrolmentState::key_certified, clock_->now() + 90 * day);
  stand("key-1", EnrolmentState::suspended);
  stand("key-1", EnrolmentState::key_certified);
  EXPECT_EQ(queued(), "activation_code 1;certificate_issued 1;enrolment_link 1;suspended 1;") << "resumed is not certified anew";
  stand("key-1", EnrolmentState::revoked);
  occasions_->secret_changed(ada_);
  for (int i = 0; i < 3; ++i) occasions_->secret_locked(ada_);
  EXPECT_EQ(queued(), "activation_code 1;certificate_issued 1;enrolment_link 1;revoked 1;secret_changed 1;secret_locked 1;suspended 1;");
  clock_->advance(day);
  occasions_->secret_locked(ada_);
  EXPECT_NE(queued().find("secret_locked 2;"), std::string::npos);
}

}  // namespace
}  // namespace intaglio::registration
