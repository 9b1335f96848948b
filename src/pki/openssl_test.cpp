// What relying parties use: the openssl command line must accept what this room makes.
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iterator>
#include <sstream>

#include "base/file.h"
#include "pki/crl/publisher.h"
#include "pki/ocsp/responder.h"
#include "pki/test_support.h"

namespace intaglio::pki {
namespace {

using testing::Material;
using testing::TestPki;

struct Ran {
  int status;
  std::string output;
};

/// A program of the search path with words that hold no spaces; its output and errors as one text.
Ran run(const std::string& command) {
  std::istringstream text(command);
  std::vector<std::string> words{std::istream_iterator<std::string>(text), {}};
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& each : words) pointers.push_back(each.data());
  pointers.push_back(nullptr);
  const int kept = ::memfd_create("output", MFD_CLOEXEC);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) ::posix_spawn_file_actions_adddup2(&actions, kept, stream);
  pid_t child = 0;
  Ran ran{::posix_spawnp(&child, pointers.front(), &actions, nullptr, pointers.data(), environ), {}};
  ::posix_spawn_file_actions_destroy(&actions);
  if (ran.status == 0) ::waitpid(child, &ran.status, 0);
  std::array<char, 4096> part{};
  ::lseek(kept, 0, SEEK_SET);
  for (ssize_t got = 0; (got = ::read(kept, part.data(), part.size())) > 0;) ran.output.append(part.data(), static_cast<std::size_t>(got));
  ::close(kept);
  return ran;
}

class OpenSsl : public ::testing::TestWithParam<crypto::KeyAlgorithm> {
 protected:
  void SetUp() override {
    publisher = std::move(*Publisher::open({std::chrono::hours(24), std::chrono::hours(1)}, pki.authority->issuer(), pki.environment()));
    write("root.pem", pki.root->certificate.pem());
    write("issuing.pem", pki.issuing->certificate.pem());
    write("leaf.pem", leaf.pem());
    write_list();
  }
  void write(const std::string& name, std::string_view text) { EXPECT_TRUE(write_file_durably(folder / name, as_bytes(text), 0600)); }
  void write_list() {
    const auto made = publisher->issue();
    ASSERT_TRUE(made) << made.error().detail;
    write("issuing.der", as_text((*publisher->current())->der));
    ASSERT_EQ(run("openssl crl -inform DER -in " + at("issuing.der") + " -out " + at("issuing.crl")).status, 0);
  }
  std::string at(const std::string& name) { return (folder / name).string(); }
  std::string time() { return std::to_string(unix_seconds(pki.clock->now())); }
  Ran verify() {
    return run("openssl verify -x509_strict -attime " + time() + " -CAfile " + at("root.pem") + " -untrusted " + at("issuing.pem") +
               " -crl_check -CRLfile " + at("issuing.crl") + " " + at("leaf.pem"));
  }
  void revoke() { ASSERT_TRUE(pki.authority->revoke(pki.revocation_request(leaf, material.request["key"], "keyCompromise"))); }

  // OCSP answers are checked against the machine's own clock by that tool.
  TestPki pki{make_system_clock(ClockSource::declared)->now(), GetParam()};
  testing::TemporaryFolder folder;
  Material material = pki.good();
  crypto::Certificate leaf = pki.issued(material);
  std::unique_ptr<Publisher> publisher;
};

TEST_P(OpenSsl, VerifiesACertificateAgainstTheRevocationList) {
  const auto good = verify();
  EXPECT_EQ(good.status, 0) << good.output;
  revoke();
  write_list();
  const auto bad = verify();
  EXPECT_NE(bad.status, 0);
  EXPECT_NE(bad.output.find("certificate revoked"), std::string::npos) << bad.output;
}

TEST_P(OpenSsl, ReadsTheListsNumberAndReason) {
  revoke();
  write_list();
  const auto text = run("openssl crl -noout -text -in " + at("issuing.crl")).output;
  EXPECT_NE(text.find("X509v3 CRL Number"), std::string::npos);
  EXPECT_NE(text.find("Key Compromise"), std::string::npos);
  EXPECT_NE(text.find("X509v3 Authority Key Identifier"), std::string::npos);
}

TEST_P(OpenSsl, AcceptsTheRespondersAnswers) {
  const auto responder =
      std::move(*Responder::open({std::chrono::hours(1)}, pki.authority->issuer(),
                                 *pki.authority->responder_certificate(pki.ocsp_key->public_key()), pki.ocsp_key, pki.environment()));
  const auto ask = [&](const std::string& options) {
    const std::string about = " -issuer " + at("issuing.pem") + " " + options + " -cert " + at("leaf.pem") + " -serial 0x1234 ";
    const auto made = run("openssl ocsp" + about + "-reqout " + at("request.der"));
    EXPECT_EQ(made.status, 0) << made.output;
    write("response.der", as_text(responder->answer(*read_file(folder / "request.der", 1 << 16))));
    const std::string trust =
        "openssl ocsp -CAfile " + at("root.pem") + " -verify_other " + at("issuing.pem") + " -respin " + at("response.der");
    // Once with the request, whose nonce must be repeated; once for the status of each certificate, which the tool prints then only.
    const auto checked = run(trust + " -reqin " + at("request.der"));
    EXPECT_NE(checked.output.find("Response verify OK"), std::string::npos) << checked.output;
    EXPECT_EQ(checked.output.find("once"), std::string::npos) << checked.output;
    return run(trust + " -no_nonce" + about);
  };
  for (const std::string options : {"", "-sha256"}) {
    const auto good = ask(options);
    EXPECT_NE(good.output.find("Response verify OK"), std::string::npos) << good.output;
    EXPECT_NE(good.output.find("leaf.pem: good"), std::string::npos) << good.output;
    EXPECT_NE(good.output.find("0x1234: unknown"), std::string::npos) << good.output;
  }
  revoke();
  const auto bad = ask("");
  EXPECT_NE(bad.output.find("leaf.pem: revoked"), std::string::npos) << bad.output;
  EXPECT_NE(bad.output.find("keyCompromise"), std::string::npos) << bad.output;
}

TEST_P(OpenSsl, PrintsTheCertificateAsTheProfileSays) {
  const auto text = run("openssl x509 -noout -text -in " + at("leaf.pem")).output;
  EXPECT_NE(text.find("X509v3 Key Usage: critical\n                Non Repudiation\n"), std::string::npos) << text;
  EXPECT_NE(text.find("C = NO, GN = Kari, SN = Nordmann, CN = Kari Nordmann, serialNumber = PNONO-01017012345"), std::string::npos) << text;
  EXPECT_NE(text.find("OCSP - URI:http://pki.example/ocsp"), std::string::npos);
}

class OpenSslTimeStamps : public OpenSsl {
 protected:
  void SetUp() override {
    OpenSsl::SetUp();
    auto unit = pki.authority->unit_certificate(pki.tsu_key->public_key(), pki.unit_profile());
    ASSERT_TRUE(unit) << unit.error().detail;
    write("tsu.pem", unit->pem());
    write("chain.pem", unit->pem() + pki.issuing->certificate.pem());
    write("contract", "contract");
    write("invoice", "invoice");
    stamping = std::move(*TimeStamping::open(pki.timestamp_policy(), pki.authority->issuer(), *unit, pki.tsu_key, pki.environment()));
  }
  /// Asks with the tool's own request and keeps the answer.
  void stamp(const std::string& options) {
    const auto made = run("openssl ts -query -data " + at("contract") + " " + options + " -out " + at("query.tsq"));
    ASSERT_EQ(made.status, 0) << made.output;
    write("answer.tsr", as_text(stamping->answer(*read_file(folder / "query.tsq", 1 << 16))));
  }
  Ran verify_stamp(const std::string& about, const std::string& untrusted) {
    return run("openssl ts -verify " + about + " -in " + at("answer.tsr") + " -CAfile " + at("root.pem") + " -untrusted " + at(untrusted));
  }
  std::unique_ptr<TimeStamping> stamping;
};

TEST_P(OpenSslTimeStamps, AreVerifiedWithTheirRequestAndWithTheirData) {
  for (const std::string options : {"-sha256 -cert", "-sha384 -cert -tspolicy 2.999.2.1", "-sha512 -cert -no_nonce", "-sha256"}) {
    stamp(options);
    // Without -cert the token carries no certificate: the verifier brings the unit's.
    const std::string known = options == "-sha256" ? "chain.pem" : "issuing.pem";
    for (const std::string& about : {"-queryfile " + at("query.tsq"), "-data " + at("contract")}) {
      const auto good = verify_stamp(about, known);
      EXPECT_EQ(good.status, 0) << options << ": " << good.output;
      EXPECT_NE(good.output.find("Verification: OK"), std::string::npos) << good.output;
    }
    EXPECT_NE(verify_stamp("-data " + at("invoice"), known).status, 0);
  }
}

TEST_P(OpenSslTimeStamps, ArePrintedAsTheProfileSays) {
  stamp("-sha256 -cert");
  const auto text = run("openssl ts -reply -text -in " + at("answer.tsr")).output;
  for (const std::string line : {"Status: Granted.", "Version: 1", "Policy OID: 2.999.2.1", "Hash Algorithm: sha256",
                                 "Accuracy: 0x01 seconds, unspecified millis, unspecified micros", "Ordering: no", "TSA: unspecified"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
  const auto certificate = run("openssl x509 -noout -text -in " + at("tsu.pem")).output;
  EXPECT_NE(certificate.find("X509v3 Extended Key Usage: critical\n                Time Stamping\n"), std::string::npos) << certificate;
  EXPECT_NE(certificate.find("X509v3 Private Key Usage Period"), std::string::npos) << certificate;
  EXPECT_EQ(run("openssl verify -x509_strict -purpose timestampsign -CAfile " + at("root.pem") + " -untrusted " + at("issuing.pem") + " " +
                at("tsu.pem"))
                .status,
            0);
}

TEST_P(OpenSslTimeStamps, AreRefusedInTheWordsOfTheStandard) {
  const auto reason = [&] { return run("openssl ts -reply -text -in " + at("answer.tsr")).output; };
  stamp("-sha1");
  EXPECT_NE(reason().find("unrecognized or unsupported algorithm identifier"), std::string::npos) << reason();
  stamp("-sha256 -tspolicy 1.2.3");
  EXPECT_NE(reason().find("the requested TSA policy is not supported by the TSA"), std::string::npos) << reason();
  write("answer.tsr", as_text(stamping->answer(as_bytes("rubbish"))));
  EXPECT_NE(reason().find("the data submitted has the wrong format"), std::string::npos) << reason();
  pki.clock->lose_synchronisation();
  stamp("-sha256");
  EXPECT_NE(reason().find("the TSA's time source is not available"), std::string::npos) << reason();
}

class GnuTls : public OpenSsl {};

TEST_P(GnuTls, VerifiesTheChainTheListAndTheRespondersAnswer) {
  write("path.pem", leaf.pem() + pki.issuing->certificate.pem());
  const auto chain = run("certtool --verify --load-ca-certificate " + at("root.pem") + " --infile " + at("path.pem"));
  EXPECT_EQ(chain.status, 0) << chain.output;
  EXPECT_NE(chain.output.find("The certificate is trusted."), std::string::npos) << chain.output;
  const auto list = run("certtool --verify-crl --load-ca-certificate " + at("issuing.pem") + " --infile " + at("issuing.crl"));
  EXPECT_EQ(list.status, 0) << list.output;

  const auto certificate = *pki.authority->responder_certificate(pki.ocsp_key->public_key());
  const auto responder =
      std::move(*Responder::open({std::chrono::hours(1)}, pki.authority->issuer(), certificate, pki.ocsp_key, pki.environment()));
  const auto made = run("ocsptool --generate-request --load-issuer " + at("issuing.pem") + " --load-cert " + at("leaf.pem") +
                        " --outder --outfile " + at("request.der"));
  ASSERT_EQ(made.status, 0) << made.output;
  write("response.der", as_text(responder->answer(*read_file(folder / "request.der", 1 << 16))));
  const auto checked = run("ocsptool --verify-response --load-issuer " + at("issuing.pem") + " --load-trust " + at("issuing.pem") +
                           " --load-response " + at("response.der"));
  EXPECT_EQ(checked.status, 0) << checked.output;
  EXPECT_NE(checked.output.find("Success"), std::string::npos) << checked.output;
}

INSTANTIATE_TEST_SUITE_P(Authorities, OpenSsl,
                         ::testing::Values(crypto::KeyAlgorithm::p256, crypto::KeyAlgorithm::p384, crypto::KeyAlgorithm::p521,
                                           crypto::KeyAlgorithm::rsa3072),
                         [](const auto& kind) { return std::string(crypto::name_of(kind.param)); });
INSTANTIATE_TEST_SUITE_P(Authorities, OpenSslTimeStamps,
                         ::testing::Values(crypto::KeyAlgorithm::p256, crypto::KeyAlgorithm::p384, crypto::KeyAlgorithm::rsa3072),
                         [](const auto& kind) { return std::string(crypto::name_of(kind.param)); });
INSTANTIATE_TEST_SUITE_P(Authorities, GnuTls,
                         ::testing::Values(crypto::KeyAlgorithm::p256, crypto::KeyAlgorithm::p384, crypto::KeyAlgorithm::p521,
                                           crypto::KeyAlgorithm::rsa3072, crypto::KeyAlgorithm::rsa4096),
                         [](const auto& kind) { return std::string(crypto::name_of(kind.param)); });

}  // namespace
}  // namespace intaglio::pki
