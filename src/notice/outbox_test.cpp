#include "notice/outbox.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <future>

#include "base/test_support.h"
#include "crypto/signer.h"
#include "notice/courier.h"
#include "sealed/testing.h"
#include "storage/test_support.h"

namespace intaglio::notice {
namespace {

using test::must;

/// Keeps what it is given, and answers as it is told.
class FakeNotifier final : public Notifier {
 public:
  Status deliver(const Message& message) override {
    messages.push_back(message);
    if (meanwhile) meanwhile();
    return failure ? Status(*failure) : Status();
  }
  std::vector<Message> messages;
  std::optional<Error> failure;
  std::function<void()> meanwhile;
};

class OutboxTest : public testing::Test {
 protected:
  OutboxTest() { open(); }
  ~OutboxTest() override { close(); }
  void open() {
    database_ = must(storage::test::open_database(folder_ / "ssa.db"));
    for (const auto* series : {&sealed::Sealer::migrations(), &migrations(), &audit::Log::migrations()}) must(database_->migrate(*series));
    log_ = must(audit::Log::open({"intaglio/ssa/test", folder_ / "audit", folder_ / "anchor"}, *database_, log_key_, clock_));
    auto sealer = must(sealed::open_testing_sealer(*database_, Bytes(32, 7), clock_, folder_ / "versions"));
    outbox_ = std::make_shared<Outbox>(Outbox::Parts{database_,
                                                     clock_,
                                                     *log_,
                                                     std::make_shared<const Contacts>(std::move(sealer)),
                                                     must(Templates::load(std::filesystem::path(INTAGLIO_SOURCE_DIR) / "deploy/notices")),
                                                     {{"service", "Demo"}, {"contact", "desk"}, {"link", "https://enrol.example"}},
                                                     {{Channel::mail, mail_}, {Channel::webhook, webhook_}}});
  }
  void close() {
    outbox_.reset();
    log_.reset();
    database_.reset();
  }
  void told_at(const std::string& email, const std::string& phone, const std::string& language = "en") {
    must(outbox_->record_contact(ada_, {email, phone, language}, "ra-1"));
  }
  /// As somebody would who has the database alone.
  void spoil(const std::string& sql) {
    must(database_->write([&](storage::Transaction& transaction) -> Status {
      const auto changed = transaction.execute(sql, {});
      return changed ? Status() : Status(changed.error());
    }));
  }
  std::size_t put(const Notice& notice) { return must(outbox_->put(notice)); }
  [[nodiscard]] Notice revoked(std::string once = {}) const {
    return {Kind::revoked, ada_, {{"credential", "key-1"}, {"at", "2026-11-28T07:05:00Z"}}, std::move(once)};
  }
  /// The audit events of this room: "type outcome field=value …".
  [[nodiscard]] std::vector<std::string> audited() const {
    std::vector<std::string> told;
    must(database_->read([&](storage::Reader& reader) -> Status {
      const auto selected = must(log_->select(reader, {}));
      for (const auto& text : selected.events) {
        const auto event = must(json::parse(text));
        auto line = event.at("type").get<std::string>() + " " + event.at("actor").get<std::string>();
        for (const auto& field : event.at("fields").items()) {
          if (field.key() != "notice") line += " " + field.key() + "=" + field.value().get<std::string>();
        }
        told.push_back(std::move(line));
      }
      return {};
    }));
    return told;
  }
  [[nodiscard]] std::string counted() const {
    std::string text;
    for (const auto& count : must(outbox_->counts())) text += count.state + " " + count.channel + " " + std::to_string(count.number) + ";";
    return text;
  }

  const SignerId ada_ = must(SignerId::parse("ada"));
  test::TemporaryFolder folder_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(from_unix_seconds(1795849500));
  std::shared_ptr<crypto::Signer> log_key_ = must(crypto::SoftwareKey::generate());
  std::shared_ptr<FakeNotifier> mail_ = std::make_shared<FakeNotifier>(), webhook_ = std::make_shared<FakeNotifier>();
  std::shared_ptr<storage::Database> database_;
  std::unique_ptr<audit::Log> log_;
  std::shared_ptr<Outbox> outbox_;
};

TEST_F(OutboxTest, LeavesANoticeThatAnotherNodeHasTakenToThatOne) {
  told_at("ada@example.gr", "");
  put(revoked());
  put(revoked());
  // Between the look for what is due and the try of the second one, another node has tried it.
  mail_->meanwhile = [this] { spoil("UPDATE notice_outbox SET tries = tries + 1 WHERE tries = 0"); };
  EXPECT_EQ(must(outbox_->deliver_due()), 2U);
  EXPECT_EQ(mail_->messages.size(), 1U);
}

TEST_F(OutboxTest, TellsASignerInHisLanguageAndAuditsIt) {
  told_at("ada@example.gr", "", "el");
  EXPECT_EQ(put(revoked()), 1U);
  EXPECT_EQ(must(outbox_->deliver_due()), 1U);
  ASSERT_EQ(mail_->messages.size(), 1U);
  const auto& message = mail_->messages.front();
  EXPECT_EQ(message.to, "ada@example.gr");
  EXPECT_EQ(message.subject, "Demo: το πιστοποιητικό σας ανακλήθηκε");
  EXPECT_NE(message.text.find("key-1"), std::string::npos);
  EXPECT_EQ(audited(), (std::vector<std::string>{"contact.recorded ra-1 channels=email language=el",
                                                 "notice.delivered ssa channel=mail kind=revoked tries=1"}));
  EXPECT_EQ(must(outbox_->deliver_due()), 0U) << "once";
  EXPECT_EQ(counted(), "delivered mail 1;");
}

TEST_F(OutboxTest, WarnsEveryWayAndTellsTheRestOneWay) {
  told_at("ada@example.gr", "+306900000000");
  EXPECT_EQ(put(revoked()), 2U);
  EXPECT_EQ(put({Kind::enrolment_link, ada_, {{"until", "x"}}, {}}), 1U);
  must(outbox_->deliver_due());
  EXPECT_EQ(mail_->messages.size(), 2U);
  ASSERT_EQ(webhook_->messages.size(), 1U);
  EXPECT_EQ(webhook_->messages.front().to, "+306900000000");
}

TEST_F(OutboxTest, TellsNobodyWhoseAddressIsNotKnown) {
  EXPECT_EQ(put(revoked()), 0U);
  EXPECT_EQ(must(outbox_->deliver_due()), 0U);
}

TEST_F(OutboxTest, TakesANoticeWithTheFactsOfItsKindAlone) {
  told_at("ada@example.gr", "");
  auto notice = revoked();
  notice.facts["link"] = "https://enrol.example";
  EXPECT_EQ(outbox_->put(notice).error().code, ErrorCode::internal);
  notice.facts.erase("link");
  notice.facts.erase("at");
  EXPECT_EQ(outbox_->put(notice).error().code, ErrorCode::internal);
  EXPECT_EQ(outbox_->put({Kind::activation_code, ada_, {{"until", "x"}, {"code", "ABCD"}}, {}}).error().code, ErrorCode::internal);
}

TEST_F(OutboxTest, PutsWhatIsToldOnceInOnce) {
  told_at("ada@example.gr", "");
  EXPECT_EQ(put(revoked("key-1/1")), 1U);
  EXPECT_EQ(put(revoked("key-1/1")), 0U);
  must(outbox_->deliver_due());
  EXPECT_EQ(put(revoked("key-1/1")), 0U) << "after it was told, too";
  EXPECT_EQ(put(revoked("key-1/2")), 1U);
  EXPECT_EQ(put(revoked()), 1U);
  EXPECT_EQ(put(revoked()), 1U);
}

TEST_F(OutboxTest, IsPutInWithWhatCausedItOrNotAtAll) {
  told_at("ada@example.gr", "");
  const auto undone = database_->write([&](storage::Transaction& transaction) -> Status {
    EXPECT_EQ(must(outbox_->put(transaction, revoked())), 1U);
    return Error{ErrorCode::conflict, "the cause did not happen"};
  });
  EXPECT_FALSE(undone);
  EXPECT_EQ(counted(), "");
}

TEST_F(OutboxTest, WaitsLongerAfterEachTryAndGivesUpInTheEnd) {
  told_at("ada@example.gr", "");
  put(revoked());
  mail_->failure = Error{ErrorCode::busy, "later"};
  EXPECT_EQ(must(outbox_->deliver_due()), 1U);
  for (const auto pause : pauses) {
    clock_->advance(pause - std::chrono::seconds(1));
    EXPECT_EQ(must(outbox_->deliver_due()), 0U) << pause.count();
    clock_->advance(std::chrono::seconds(1));
    EXPECT_EQ(counted(), "waiting mail 1;");
    EXPECT_EQ(must(outbox_->deliver_due()), 1U);
  }
  EXPECT_EQ(mail_->messages.size(), static_cast<std::size_t>(most_tries));
  for (const auto& message : mail_->messages) EXPECT_EQ(message.id, mail_->messages.front().id);
  EXPECT_EQ(audited().back(), "notice.given_up ssa channel=mail kind=revoked reason=tries tries=8");
  EXPECT_EQ(counted(), "given_up mail 1;");
  clock_->advance(std::chrono::hours(48));
  EXPECT_EQ(must(outbox_->deliver_due()), 0U);
}

TEST_F(OutboxTest, GivesUpAtOnceWhatIsRefusedForGood) {
  told_at("ada@example.gr", "+306900000000");
  mail_->failure = Error{ErrorCode::not_authorised, "no such user"};
  webhook_->failure = Error{ErrorCode::configuration, "bad certificate"};
  put(revoked());
  must(outbox_->deliver_due());
  EXPECT_EQ(audited().back(), "notice.given_up ssa channel=mail kind=revoked reason=refused tries=1");
  webhook_->failure.reset();
  clock_->advance(pauses.front());
  must(outbox_->deliver_due());
  EXPECT_EQ(audited().back(), "notice.delivered ssa channel=webhook kind=revoked tries=2") << "what an operator mends is tried again";
}

TEST_F(OutboxTest, GivesUpWhatCannotBeSaidOrHasNoAddressAnyMore) {
  told_at("ada@example.gr", "");
  auto notice = revoked();
  notice.facts["credential"] = "key-1\r\nBcc: eve@example.org";
  put(notice);
  must(outbox_->deliver_due());
  EXPECT_EQ(audited().back(), "notice.given_up ssa channel=mail kind=revoked reason=content tries=1");
  put(revoked());
  told_at("", "+306900000000");
  must(outbox_->deliver_due());
  EXPECT_EQ(audited().back(), "notice.given_up ssa channel=mail kind=revoked reason=address tries=1");
  EXPECT_TRUE(mail_->messages.empty());
}

TEST_F(OutboxTest, TellsOthersWhileTheContactOfOneDoesNotOpenAndGivesThatUpInTheEnd) {
  told_at("ada@example.gr", "");
  put(revoked());
  must(outbox_->record_contact(must(SignerId::parse("bob")), {"bob@example.gr", "", "en"}, "ra-1"));
  auto of_bob = revoked();
  of_bob.signer = must(SignerId::parse("bob"));
  clock_->advance(std::chrono::seconds(1));
  put(of_bob);
  spoil("UPDATE notice_contacts SET version = version + 1 WHERE id = 'ada'");
  EXPECT_EQ(must(outbox_->deliver_due()), 2U);
  ASSERT_EQ(mail_->messages.size(), 1U);
  EXPECT_EQ(mail_->messages.front().to, "bob@example.gr");
  EXPECT_EQ(must(outbox_->deliver_due()), 0U) << "what does not open waits as long as any other";
  for (const auto pause : pauses) {
    clock_->advance(pause);
    EXPECT_EQ(must(outbox_->deliver_due()), 1U);
  }
  EXPECT_EQ(audited().back(), "notice.given_up ssa channel=mail kind=revoked reason=contact tries=8");
  EXPECT_EQ(counted(), "delivered mail 1;given_up mail 1;");
}

TEST_F(OutboxTest, TellsWhoseContactOpensAgain) {
  told_at("ada@example.gr", "");
  put(revoked());
  spoil("UPDATE notice_contacts SET version = version + 1");
  must(outbox_->deliver_due());
  spoil("UPDATE notice_contacts SET version = version - 1");
  clock_->advance(pauses.front());
  must(outbox_->deliver_due());
  EXPECT_EQ(audited().back(), "notice.delivered ssa channel=mail kind=revoked tries=2");
}

TEST_F(OutboxTest, GivesUpAtOnceANoticeThatSomebodySpoiltAndTellsTheNext) {
  told_at("ada@example.gr", "");
  for (const auto& [set, audit] : std::vector<std::pair<std::string, std::string>>{{"facts = '{'", "channel=mail kind=revoked"},
                                                                                   {"facts = '[]'", "channel=mail kind=revoked"},
                                                                                   {"kind = 'else'", "channel=mail kind=unknown"},
                                                                                   {"channel = 'pigeon'", "channel=unknown kind=revoked"},
                                                                                   {"signer = ''", "channel=mail kind=revoked"}}) {
    mail_->messages.clear();
    put(revoked());
    spoil("UPDATE notice_outbox SET " + set + " WHERE state = 'waiting'");
    clock_->advance(std::chrono::seconds(1));
    put(revoked());
    EXPECT_EQ(must(outbox_->deliver_due()), 2U) << set;
    EXPECT_EQ(mail_->messages.size(), 1U) << set;
    const auto events = audited();
    EXPECT_EQ(events.at(events.size() - 2), "notice.given_up ssa " + audit + " reason=content tries=1") << set;
    EXPECT_EQ(events.back(), "notice.delivered ssa channel=mail kind=revoked tries=1") << set;
  }
}

TEST_F(OutboxTest, OutlivesTheProcess) {
  told_at("ada@example.gr", "");
  put(revoked());
  mail_->failure = Error{ErrorCode::busy, "later"};
  must(outbox_->deliver_due());
  close();
  open();
  EXPECT_EQ(must(outbox_->deliver_due()), 0U) << "the pause goes on";
  mail_->failure.reset();
  clock_->advance(pauses.front());
  EXPECT_EQ(must(outbox_->deliver_due()), 1U);
  EXPECT_EQ(audited().back(), "notice.delivered ssa channel=mail kind=revoked tries=2");
}

TEST_F(OutboxTest, IsStoppedBetweenTwoNoticesAndGoesOnLater) {
  told_at("ada@example.gr", "");
  put(revoked());
  put(revoked());
  EXPECT_EQ(must(outbox_->deliver_due([&] { return mail_->messages.size() == 1; })), 1U);
  EXPECT_EQ(counted(), "delivered mail 1;waiting mail 1;");
  EXPECT_EQ(must(outbox_->deliver_due([] { return true; })), 0U);
  EXPECT_EQ(must(outbox_->deliver_due()), 1U) << "no try was lost";
  EXPECT_EQ(audited().back(), "notice.delivered ssa channel=mail kind=revoked tries=1");
}

TEST_F(OutboxTest, ACourierThatIsStoppedEndsTheNoticeItDeliversAndBeginsNoOther) {
  told_at("ada@example.gr", "");
  put(revoked());
  put(revoked());
  std::promise<Courier*> made;
  std::promise<void> first;
  auto known = made.get_future();
  mail_->meanwhile = [&] {
    if (mail_->messages.size() > 1) return;
    known.get()->stop();
    first.set_value();
  };
  {
    Courier courier(outbox_);
    made.set_value(&courier);
    first.get_future().wait();
  }
  EXPECT_EQ(mail_->messages.size(), 1U);
  EXPECT_EQ(counted(), "delivered mail 1;waiting mail 1;");
}

TEST_F(OutboxTest, LeavesNoAddressInTheDatabaseOrTheLog) {
  told_at("canary-of-ada@example.gr", "+306912345678");
  put(revoked());
  must(outbox_->deliver_due());
  for (const auto& line : audited()) EXPECT_EQ(line.find("canary"), std::string::npos);
  must(database_->read([&](storage::Reader& reader) -> Status {
    return reader.query("SELECT record FROM notice_contacts", {}, [](const storage::Row& row) {
      const auto record = row.bytes(0);
      EXPECT_EQ(as_text(record).find("canary"), std::string_view::npos);
      EXPECT_EQ(as_text(record).find("306912345678"), std::string_view::npos);
      return true;
    });
  }));
  must(database_->write([](storage::Transaction& transaction) -> Status {
    const auto moved = transaction.execute("UPDATE notice_contacts SET id = 'eve'", {});
    return moved ? Status() : Status(moved.error());
  }));
  auto notice = revoked();
  notice.signer = must(SignerId::parse("eve"));
  EXPECT_FALSE(outbox_->put(notice)) << "one signer's record does not open as another's";
}

TEST_F(OutboxTest, ForgetsWhatIsOldAndDone) {
  told_at("ada@example.gr", "");
  put(revoked());
  must(outbox_->deliver_due());
  put(revoked());
  clock_->advance(Outbox::kept_for);
  must(outbox_->forget_old());
  EXPECT_EQ(counted(), "delivered mail 1;waiting mail 1;");
  clock_->advance(std::chrono::seconds(1));
  must(outbox_->forget_old());
  EXPECT_EQ(counted(), "waiting mail 1;");
}

TEST(Contact, IsAnAddressOfEachKindAndALanguage) {
  const auto contact = parse_contact({{"email", "ada@example.gr"}, {"phone", "+306900000000"}, {"language", "el"}});
  ASSERT_TRUE(contact);
  EXPECT_EQ(contact->language, "el");
  EXPECT_EQ(must(parse_contact({{"phone", "+306900000000"}})).language, "en");
  for (const json::Value& bad :
       {json::Value("ada@example.gr"), json::Value::object(), json::Value{{"language", "en"}}, json::Value{{"email", "ada"}},
        json::Value{{"email", "ada@example.gr\r\nBcc: eve@example.org"}}, json::Value{{"email", 1}},
        json::Value{{"email", "ada@example.gr"}, {"language", "de"}}, json::Value{{"email", "ada@example.gr"}, {"name", "Ada"}}}) {
    EXPECT_FALSE(parse_contact(bad)) << json::encode(bad);
  }
}

TEST(Contact, HasAPhoneOfE164Alone) {
  for (const std::string phone :
       {"306900000000", "+30 690 0000000", "+0690000000", "+1234567", "+1234567890123456", "+30690000000\n", "+", "+30;6900000"}) {
    EXPECT_FALSE(parse_contact({{"phone", phone}})) << phone;
  }
}

}  // namespace
}  // namespace intaglio::notice
