#include <CLI/CLI.hpp>

#include "admin/commands.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "manage/commands.h"
#include "problem.h"
#include "ra/commands.h"
#include "ra/enrolments.h"
#include "seal/commands.h"
#include "sign/commands.h"
#include "verify/commands.h"

using namespace intaglio;
using namespace intaglio::cli;

namespace {

std::function<Status()> chosen;

void add_client(CLI::App& app, std::filesystem::path& file) {
  app.add_option("--client", file, "configuration of this signature application (deploy/examples/client.toml)")
      ->required()
      ->type_name("CLIENT.toml");
}

void add_operator(CLI::App& app, std::filesystem::path& file) {
  app.add_option("--operator", file, "configuration of the RA operator (deploy/examples/operator.toml)")
      ->required()
      ->type_name("OPERATOR.toml");
}

CLI::Option* add_id_token_program(CLI::App& app, std::optional<std::filesystem::path>& program) {
  return app
      .add_option("--id-token-program", program,
                  "program that signs the person in at the identity provider: takes the nonce as argument, prints the ID token")
      ->type_name("PROGRAM");
}

/// After --pin-file, in whose place it stands.
void add_signerpass(CLI::App& app, bool& asked, std::optional<std::filesystem::path>& file, const std::string& what) {
  auto* pin = app.get_option("--pin-file");
  app.add_flag("--signerpass", asked, "a signerpass instead of the PIN; it is asked for")->excludes(pin);
  app.add_option("--signerpass-file", file, "for scripts: " + what)->type_name("FILE")->excludes(pin);
}

void add_factors(CLI::App& app, FactorOptions& factors) {
  app.add_option("--pin-file", factors.pin_file, "for scripts: read the PIN from this file, mode 0600; else it is asked for")
      ->type_name("FILE");
  add_signerpass(app, factors.signerpass, factors.signerpass_file, "read the signerpass from this file, mode 0600");
  auto* seed =
      app.add_option("--otp-seed-file", factors.otp_seed_file, "for scripts: compute the one-time code from this base32 seed, mode 0600")
          ->type_name("FILE");
  app.add_option("--otp-step-offset", factors.otp_step_offset, "use the code of exactly this step: -1, 0 or 1; else the first unused one")
      ->check(CLI::Range(-1, 1))
      ->needs(seed);
  auto* identity = add_id_token_program(app, factors.id_token_program)->excludes(seed);
  app.add_option("--device-key", factors.device_key_file,
                 "the registered key of this device instead of a one-time code: PEM, P-256, mode 0600")
      ->type_name("FILE")
      ->excludes(seed)
      ->excludes(identity);
}

void add_sign(CLI::App& program, const Clock& clock) {
  struct Options {
    SignPdfOptions pdf;
    std::vector<std::string> digests;
  };
  auto options = std::make_shared<Options>();
  auto* app = program.add_subcommand("sign", "Sign a PDF (PAdES B-B) with a remote key, or raw digests");
  auto& signing = options->pdf.signing;
  auto* file = app->add_option("file", options->pdf.input, "the PDF to sign")->type_name("FILE.pdf");
  auto* digest =
      app->add_option("--digest", options->digests, "sign this digest (hexadecimal) instead of a PDF; may be given several times")
          ->type_name("HEX")
          ->excludes(file);
  app->add_option("-o,--output", options->pdf.output, "where the signed PDF goes; default FILE.signed.pdf")
      ->type_name("OUT.pdf")
      ->excludes(digest);
  auto* which = app->add_option_group("which key");
  which->add_option("--credential", signing.credential, "the credential to sign with, as `intaglio key new` printed it")->type_name("ID");
  which
      ->add_option("--session", signing.session_profile,
                   "a signing profile with one-time custody: the key is made for this signature alone, for the person who signs in at the "
                   "identity provider")
      ->type_name("PROFILE")
      ->excludes(digest);
  which->require_option(1);
  add_client(*app, signing.client_file);
  app->add_option(
      "--suite", signing.suite,
      "rsa-pss-sha256, rsa-pss-sha384, rsa-pss-sha512, rsa-pkcs1-sha256, rsa-pkcs1-sha384, rsa-pkcs1-sha512, ecdsa-sha256, ecdsa-sha384 or "
      "ecdsa-sha512; default by the key");
  app->add_option("--reason", options->pdf.reason, "why you sign; stands in the PDF")->type_name("TEXT");
  add_factors(*app, signing.factors);
  app->add_flag("--yes", signing.yes, "for scripts: the signer agreed already; do not ask to type yes");
  app->add_flag("--replace", options->pdf.replace, "the output may exist already and is replaced");
  app->add_flag("--no-receipt", options->pdf.no_receipt, "do not wait for the audit receipt (OUT.pdf.receipt.json)");
  app->footer(R"(
Shows what will be signed and asks you to type yes, then for PIN and one-time code. The document itself never leaves this machine.
Prints where the audit log holds the signature: {"log","index","leaf"}.

Examples:
  intaglio sign contract.pdf --credential cred-1 --client client.toml
  intaglio sign contract.pdf -o signed.pdf --credential cred-1 --client client.toml --reason "I agree" \
      --yes --pin-file pin --otp-seed-file seed
  intaglio sign contract.pdf --session one-time --id-token-program ./sign-in --client client.toml
  intaglio sign --digest 3a6e…  --digest 77f0…  --credential cred-1 --client client.toml)");
  app->callback([options, digest, &clock] {
    chosen = [options, many = digest->count() > 0, &clock] {
      if (many) return sign_digests({options->pdf.signing, options->digests}, clock);
      if (options->pdf.input.empty())
        return Status(problem(ErrorCode::invalid_request, "there is nothing to sign", "name a PDF, or give --digest"));
      return sign_pdf(options->pdf, clock);
    };
  });
}

void add_approve(CLI::App& program, const Clock& clock) {
  auto options = std::make_shared<ApproveOptions>();
  auto* app = program.add_subcommand("approve", "Approve what an application asked for, on a device of your own");
  app->add_option("--device", options->device_file, "configuration of this device (deploy/examples/device.toml)")
      ->required()
      ->type_name("DEVICE.toml");
  app->add_option("--address-file", options->address_file,
                  "for scripts: read the address that the application showed from this file, mode 0600; else it is asked for")
      ->type_name("FILE");
  app->add_option("--document", options->documents,
                  "approve only if this file's digest is asked for, and no other; may be given several times")
      ->type_name("FILE");
  app->add_option("--digest", options->digests, "the same with a digest in hexadecimal")->type_name("HEX");
  add_factors(*app, options->factors);
  auto* signer =
      app->add_option("--signer", options->signer, "no address: ask with the key of this device what waits for this signer, and open that")
          ->type_name("ID")
          ->needs("--device-key")
          ->excludes("--address-file");
  app->add_option("--wait", options->wait_seconds, "seconds to wait for something to approve")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str()
      ->needs(signer);
  app->add_option("--compare", options->comparison, "for scripts: the two digits that the application shows; else they are asked for")
      ->type_name("DIGITS")
      ->needs(signer);
  app->add_flag("--yes", options->yes, "for scripts: the signer agreed already to the documents that --document and --digest name");
  app->footer(R"(
Shows who asks and which documents, asks you to type yes, then for PIN and one-time code, and seals them to the SAM that DEVICE.toml names.
The application then signs. An address opens once. With --yes nobody compares who asks and with which credential: name the documents of one
application that you trust to choose them.

Examples:
  intaglio approve --device device.toml
  intaglio approve --device device.toml --address-file address --document contract.pdf --yes --pin-file pin --otp-seed-file seed
  intaglio approve --device device.toml --signer ada --device-key device.pem)");
  app->callback([options, &clock] { chosen = [options, &clock] { return approve(*options, clock); }; });
}

void add_verify(CLI::App& program, const Clock& clock) {
  auto options = std::make_shared<VerifyPdfOptions>();
  auto* app = program.add_subcommand("verify", "Verify every signature of a PDF");
  app->add_option("file", options->file, "the signed PDF")->required()->type_name("FILE.pdf");
  app->add_option("--anchor", options->anchors, "PEM: certification authorities that you trust; may be given several times")
      ->required()
      ->type_name("CA.pem");
  app->add_flag("--json", options->as_json, "print one JSON object");
  app->footer(R"(
Succeeds when there is a signature, all are valid, and the newest covers the whole document. Revocation is not looked at.

Example:
  intaglio verify contract.signed.pdf --anchor root.pem)");
  app->callback([options, &clock] { chosen = [options, &clock] { return verify_pdf(*options, clock); }; });
}

void add_audit(CLI::App& program) {
  auto* audit = program.add_subcommand("audit", "Verify an audit log or a receipt, offline");
  audit->require_subcommand(1);

  auto log = std::make_shared<AuditVerifyOptions>();
  auto* verify = audit->add_subcommand("verify", "Verify a whole log: entries, tree, checkpoint, anchor, intents");
  verify
      ->add_option(
          "--config", log->configs,
          "configuration of the process whose log it is (sam.toml, ssa.toml, pki.toml); of each node where several share a database")
      ->type_name("FILE.toml");
  verify->add_option("--database", log->database, "SQLite file that holds the entries")->type_name("FILE");
  verify->add_option("--directory", log->directory, "folder of tiles and checkpoint")->type_name("FOLDER");
  verify->add_option("--anchor", log->anchor, "file with size and running hash")->type_name("FILE");
  verify->add_option("--origin", log->origin, "origin of the log")->type_name("TEXT");
  verify->add_option("--key", log->key, "public key that signs the checkpoints: PEM or JWK")->type_name("FILE");
  verify
      ->add_option("--approval", log->approval,
                   "what a passkey or a device signed, or an identity provider confirmed: verified, and looked for in the log")
      ->type_name("FILE");
  verify->footer("\nExample:\n  intaglio audit verify --config run/config/sam.toml --key checkpoint.jwk --approval contract.approval");
  verify->callback([log] { chosen = [log] { return verify_audit_log(*log); }; });

  auto receipt = std::make_shared<AuditReceiptOptions>();
  auto* one = audit->add_subcommand("receipt", "Verify the receipt of one signature");
  one->add_option("file", receipt->file, "the receipt that `intaglio sign` wrote")->required()->type_name("OUT.pdf.receipt.json");
  one->add_option("--key", receipt->key, "public key that signs the checkpoints: PEM or JWK")->required()->type_name("FILE");
  one->add_option("--origin", receipt->origin, "origin of the log; default: the one that the receipt names")->type_name("TEXT");
  one->footer("\nExample:\n  intaglio audit receipt contract.signed.pdf.receipt.json --key checkpoint.jwk");
  one->callback([receipt] { chosen = [receipt] { return verify_audit_receipt(*receipt); }; });
}

void add_enrol(CLI::App& program, const Clock& clock) {
  auto options = std::make_shared<EnrolOptions>();
  auto* app =
      program.add_subcommand("enrol", "Set the first factors of a signer: PIN and one-time codes, PIN and identity, or PIN and device");
  add_client(*app, options->client_file);
  app->add_option("--signer", options->signer, "the signer's id, as the registration authority made it")->required()->type_name("ID");
  app->add_option("--code-file", options->code_file,
                  "for scripts: read the activation code from this file, mode 0600; else it is asked for")
      ->type_name("FILE");
  app->add_option("--pin-file", options->pin_file, "for scripts: read the new PIN from this file, mode 0600; else it is asked for twice")
      ->type_name("FILE");
  add_signerpass(*app, options->signerpass, options->signerpass_file, "read the new signerpass from this file, mode 0600");
  auto* seed = app->add_option("--seed-file", options->seed_file, "for scripts: keep the TOTP seed (base32) in this new file, mode 0600")
                   ->type_name("FILE");
  auto* identity = add_id_token_program(*app, options->id_token_program)->excludes(seed);
  app->add_option("--device-key", options->device_key_file,
                  "register the key of this device instead of one-time codes; it is made in this file, mode 0600, when there is none")
      ->type_name("FILE")
      ->excludes(seed)
      ->excludes(identity);
  app->add_flag("--yes", options->yes, "for scripts: the signer agreed to the terms already; implied when code and PIN come from files");
  app->add_flag("--no-qr", options->no_qr, "do not draw the QR code");
  app->footer(
      "\nDraws the QR code for an authenticator application; it is shown once.\n\nExample:\n  intaglio enrol --client client.toml --signer "
      "ada");
  app->callback([options, &clock] { chosen = [options, &clock] { return enrol(*options, clock); }; });
}

void add_key(CLI::App& program, const Clock& clock) {
  auto* key = program.add_subcommand("key", "Keys of a signer");
  key->require_subcommand(1);
  auto options = std::make_shared<NewKeyOptions>();
  auto* app = key->add_subcommand("new", "Generate a key in the SAM's token");
  add_client(*app, options->client_file);
  app->add_option("--signer", options->signer, "the signer's id")->required()->type_name("ID");
  options->algorithm = "rsa3072";
  app->add_option("--algorithm", options->algorithm, "rsa3072, rsa4096, p256, p384 or p521")->capture_default_str();
  options->profile = "direct-resident";
  app->add_option("--profile", options->profile, "signing profile of the key")->capture_default_str();
  app->add_option("--csr-out", options->csr_out, "write the certificate request (PKCS#10, DER) to this file")->type_name("FILE");
  app->add_flag("--yes", options->yes, "for scripts: the signer agreed to the terms already; implied when PIN and seed come from files");
  add_factors(*app, options->factors);
  app->footer(
      "\nPrints the credentialID, which the registration authority certifies next (intaglio ra certify).\n\nExample:\n"
      "  intaglio key new --client client.toml --signer ada --algorithm rsa3072");
  app->callback([options, &clock] { chosen = [options, &clock] { return new_key(*options, clock); }; });

  const auto add_change = [&](const char* name, protocol::KeyChange change, const char* about, const char* footer) {
    auto changed = std::make_shared<ChangeKeyOptions>();
    changed->change = change;
    auto* command = key->add_subcommand(name, about);
    add_client(*command, changed->client_file);
    command->add_option("--credential", changed->credential, "the credential, as `intaglio key new` printed it")
        ->required()
        ->type_name("ID");
    command->add_flag("--yes", changed->yes, "for scripts: the signer agreed already; implied when PIN and seed come from files");
    add_factors(*command, changed->factors);
    command->footer(footer);
    command->callback([changed, &clock] { chosen = [changed, &clock] { return change_key(*changed, clock); }; });
  };
  add_change("suspend", protocol::KeyChange::suspend, "Suspend a credential of your own; only the registration authority lifts that",
             "\nExample:\n  intaglio key suspend --client client.toml --credential cred-1");
  add_change("destroy", protocol::KeyChange::destroy, "Destroy a key of your own, for good",
             "\nExample:\n  intaglio key destroy --client client.toml --credential cred-1");
}

void add_seal(CLI::App& program, const Clock& clock) {
  auto* seal = program.add_subcommand("seal", "Seals without asking each time, under a grant of the signer");
  seal->require_subcommand(1);
  const auto add_common = [](CLI::App& app, SigningOptions& signing, std::filesystem::path& key) {
    add_client(app, signing.client_file);
    app.add_option("--credential", signing.credential, "the credential that seals")->required()->type_name("ID");
    app.add_option("--suite", signing.suite, "signature suite, for example rsa-pss-sha256; default by the key");
    app.add_option("--key", key, "private key of the program that asks for seals (PEM, P-256), mode 0600")->required()->type_name("FILE");
  };
  auto granted = std::make_shared<SealGrantOptions>();
  auto* grant = seal->add_subcommand("grant", "Let a key of this application ask for seals: the signer's act, with two factors");
  add_common(*grant, granted->signing, granted->key_file);
  grant->add_option("--signatures", granted->signatures, "hashes that may be sealed in all")
      ->required()
      ->check(CLI::Range(1, 1'000'000'000));
  grant->add_option("--days", granted->days, "how long the grant lasts")->required()->check(CLI::Range(1, 366));
  grant->add_flag("--yes", granted->signing.yes, "for scripts: the signer agreed already; implied when PIN and seed come from files");
  add_factors(*grant, granted->signing.factors);
  grant->footer(
      "\nThe key is made when the file does not exist. Prints the grant's id. It ends by its date, its count, `intaglio seal revoke`, or "
      "when the\n"
      "signer changes PIN, signerpass or seed.\n\nExample:\n"
      "  intaglio seal grant --client client.toml --credential cred-1 --key seal.pem --signatures 10000 --days 90");
  grant->callback([granted, &clock] { chosen = [granted, &clock] { return make_seal_grant(*granted, clock); }; });

  auto ended = std::make_shared<SealEndOptions>();
  auto* revoke = seal->add_subcommand("revoke", "End a grant, at once");
  add_client(*revoke, ended->client_file);
  revoke->add_option("--grant", ended->grant, "the grant, as `intaglio seal grant` printed it")->required()->type_name("ID");
  revoke->footer("\nExample:\n  intaglio seal revoke --client client.toml --grant 3q2-7w…");
  revoke->callback([ended, &clock] { chosen = [ended, &clock] { return end_seal_grant(*ended, clock); }; });

  auto sealed = std::make_shared<SealSignOptions>();
  auto* sign = seal->add_subcommand("sign", "Seal digests under a grant, 1000 at once at most");
  add_common(*sign, sealed->signing, sealed->key_file);
  sign->add_option("--grant", sealed->grant, "the grant")->required()->type_name("ID");
  sign->add_option("--digest", sealed->digests, "a digest in hexadecimal; may be given several times")->type_name("HEX");
  sign->add_option("--digests", sealed->digests_file, "file of digests, one on each line")->type_name("FILE");
  sign->footer(
      "\nPrints a JSON line for each signature.\n\nExample:\n"
      "  intaglio seal sign --client client.toml --credential cred-1 --key seal.pem --grant 3q2-7w… --digests digests.txt");
  sign->callback([sealed, &clock] { chosen = [sealed, &clock] { return sign_under_grant(*sealed, clock); }; });
}

void add_signer(CLI::App& program, const Clock& clock) {
  auto* signer = program.add_subcommand("signer", "The signer's own factors");
  signer->require_subcommand(1);
  const auto add_change = [&](const char* name, const char* about) {
    auto options = std::make_shared<ChangeFactorsOptions>();
    auto* app = signer->add_subcommand(name, about);
    add_client(*app, options->client_file);
    app->add_option("--signer", options->signer, "the signer's id")->required()->type_name("ID");
    app->add_flag("--yes", options->yes, "for scripts: the signer agreed already; implied when all secrets come from files");
    add_factors(*app, options->factors);
    app->callback([options, &clock] { chosen = [options, &clock] { return change_factors(*options, clock); }; });
    return std::pair(app, options);
  };
  auto [pin, pin_options] = add_change("change-pin", "Choose a new PIN, with the old one and a one-time code");
  pin_options->change_pin = true;
  pin->add_option("--new-pin-file", pin_options->new_pin_file,
                  "for scripts: read the new PIN from this file, mode 0600; else it is asked for twice")
      ->type_name("FILE");
  pin->footer("\nExample:\n  intaglio signer change-pin --client client.toml --signer ada");
  auto [pass, pass_options] =
      add_change("change-signerpass", "Choose a new signerpass, with the PIN or signerpass that you have and a code");
  pass_options->change_signerpass = true;
  pass->add_option("--new-signerpass-file", pass_options->new_signerpass_file,
                   "for scripts: read the new signerpass from this file, mode 0600; else it is asked for twice")
      ->type_name("FILE");
  pass->footer(
      "\nWhoever has a PIN gets a signerpass in its place, and keeps his keys.\n\nExample:\n"
      "  intaglio signer make-signerpass -o signerpass\n"
      "  intaglio signer change-signerpass --client client.toml --signer ada --new-signerpass-file signerpass");
  auto make_options = std::make_shared<MakeSignerpassOptions>();
  auto* make = signer->add_subcommand("make-signerpass", "Make a signerpass by chance: ten letters and ten digits by turns, 80 bits");
  make->add_option("-o,--output", make_options->output, "new file for it, mode 0600; else it is shown on the terminal")->type_name("FILE");
  make->footer("\nExample:\n  intaglio signer make-signerpass -o signerpass");
  make->callback([make_options] { chosen = [make_options] { return make_signerpass(*make_options); }; });
  auto [seed, seed_options] = add_change("change-seed", "Get a new seed for one-time codes, with PIN and a code of the old one");
  seed_options->change_seed = true;
  seed->add_option("--seed-file", seed_options->seed_file, "for scripts: keep the new TOTP seed (base32) in this new file, mode 0600")
      ->type_name("FILE");
  seed->add_flag("--no-qr", seed_options->no_qr, "do not draw the QR code");
  seed->footer(
      "\nThe old seed ends at once; the new one is shown once.\n\nExample:\n"
      "  intaglio signer change-seed --client client.toml --signer ada");
  auto [identity, identity_options] =
      add_change("change-identity", "Link the person who signs in at an identity provider, with PIN and the factor that you have");
  identity
      ->add_option("--new-id-token-program", identity_options->new_id_token_program,
                   "program that signs that person in: takes the nonce as argument, prints the ID token")
      ->required()
      ->type_name("PROGRAM");
  identity->footer(
      "\nThe identity of before ends at once.\n\nExample:\n"
      "  intaglio signer change-identity --client client.toml --signer ada --id-token-program ./sign-in --new-id-token-program "
      "./sign-in-new");
  auto [device, device_options] = add_change("change-device", "Register the key of a device, with PIN and the factor that you have");
  device
      ->add_option("--new-device-key", device_options->new_device_key_file,
                   "key of the new device; it is made in this file, mode 0600, when there is none")
      ->type_name("FILE");
  device->add_flag("--end-others", device_options->drop_devices, "the devices of before end: one was lost");
  device->footer(
      "\nWithout --new-device-key, --end-others only ends them.\n\nExample:\n"
      "  intaglio signer change-device --client client.toml --signer ada --new-device-key device.pem --end-others");
}

/// Requests of one person: the command, the operation behind it, and the members that it takes.
struct AdminCommand {
  std::string_view name, operation, about;
  std::vector<std::pair<std::string_view, std::string_view>> texts;  ///< option and member name, meaning
};

void add_admin(CLI::App& program, const Clock& clock) {
  auto* admin = program.add_subcommand("admin", "Privileged users: what the SAM does, and changes that two persons agree on");
  admin->require_subcommand(1);
  const auto add = [&](std::string name, std::string about, std::filesystem::path& file) {
    auto* app = admin->add_subcommand(std::move(name), std::move(about));
    app->add_option("--admin", file, "configuration of the privileged user (deploy/examples/admin.toml)")->required()->type_name("FILE");
    return app;
  };
  const std::vector<AdminCommand> commands = {
      {"status", "show-status", "State, counters and custody of the node", {}},
      {"users", "show-users", "The privileged users and their roles", {}},
      {"policy", "show-policy", "The policy document", {}},
      {"suspend-user",
       "suspend-user",
       "Another user can do nothing from now on",
       {{"id", "identifier of the user"}, {"reason", "why, for the audit log"}}},
  };
  for (const auto& command : commands) {
    auto file = std::make_shared<std::filesystem::path>();
    auto texts = std::make_shared<std::map<std::string, std::string>>();
    auto* app = add(std::string(command.name), std::string(command.about), *file);
    for (const auto& [name, meaning] : command.texts)
      app->add_option("--" + std::string(name), (*texts)[std::string(name)], std::string(meaning))->required();
    app->callback([file, texts, operation = std::string(command.operation), &clock] {
      chosen = [=, &clock] { return ask_sam(*file, operation, json::Value(*texts), clock); };
    });
  }
  struct Listing {
    std::filesystem::path file;
    std::int64_t before = 0;
  };
  auto listing = std::make_shared<Listing>();
  auto* proposals = add("proposals", "Proposals that wait, and what became of the last, without their content", listing->file);
  auto* before = proposals->add_option("--before", listing->before, "go on behind the list that named this as next");
  before->check(CLI::NonNegativeNumber);
  proposals->callback([listing, before, &clock] {
    auto members = json::Value::object();
    if (before->count() != 0) members["before"] = listing->before;
    chosen = [=, &clock] { return ask_sam(listing->file, "show-proposals", members, clock); };
  });
  struct Search {
    std::filesystem::path file;
    std::int64_t from = 0;
    std::map<std::string, std::string> filter;
  };
  auto search = std::make_shared<Search>();
  auto* audit = add("audit", "Entries of the SAM's audit log, for auditors; that they were read is an entry itself", search->file);
  audit->add_option("--from", search->from, "index of the first entry to look at")->check(CLI::NonNegativeNumber);
  for (const auto* name : {"type", "actor", "subject", "since", "until"})
    audit->add_option("--" + std::string(name), search->filter[name], "only entries with this; moments as 2026-11-27T10:00:00Z");
  audit->footer("\nExample:\n  intaglio admin audit --admin admin.toml --type signature.made --since 2026-11-27T00:00:00Z");
  audit->callback([search, &clock] {
    chosen = [=, &clock] {
      json::Value members = {{"from", search->from}};
      for (const auto& [name, value] : search->filter) {
        if (!value.empty()) members[name] = value;
      }
      return ask_sam(search->file, "read-audit", std::move(members), clock);
    };
  });
  struct Proposing {
    std::filesystem::path file, payload;
    std::string operation;
  };
  auto proposing = std::make_shared<Proposing>();
  auto* proposer = add("propose", "Propose a change: add-user, change-roles, resume-user, install-policy", proposing->file);
  proposer->add_option("operation", proposing->operation, "name of the operation")->required();
  proposer->add_option("--payload", proposing->payload, "JSON object: what the operation takes")->required()->type_name("FILE");
  proposer->footer("\nExample:\n  intaglio admin propose add-user --admin adm-1/admin.toml --payload new-auditor.json");
  proposer->callback(
      [proposing, &clock] { chosen = [=, &clock] { return propose(proposing->file, proposing->operation, proposing->payload, clock); }; });
  const auto add_step = [&](std::string name, std::string about, Status (*act)(const ProposalOptions&, const Clock&)) {
    auto options = std::make_shared<ProposalOptions>();
    auto* app = add(std::move(name), std::move(about), options->admin_file);
    app->add_option("proposal", options->proposal, "identifier of the proposal")->required();
    app->callback([options, act, &clock] { chosen = [=, &clock] { return act(*options, clock); }; });
    return std::pair(app, options);
  };
  add_step("proposal", "Show a proposal, and what it would change", show_proposal);
  const auto [approver, approval] = add_step("approve", "Show a proposal of somebody else, and approve it", approve);
  approver->add_flag("--yes", approval->yes, "do not ask: for scripts");
  add_step("execute", "Let an approved proposal take effect", execute);
  auto restoring = std::make_shared<RestoreOptions>();
  auto* restore =
      add("approve-restore", "Show what a database of a backup lacks, and approve that it is served from; offline", restoring->admin_file);
  restore->add_option("--statement", restoring->statement, "what intaglio-sam --restore-statement wrote")->required()->type_name("FILE");
  restore->add_option("--out", restoring->out, "where the approval goes")->required()->type_name("FILE");
  restore->add_flag("--yes", restoring->yes, "do not ask: for scripts");
  restore->callback([restoring, &clock] { chosen = [=, &clock] { return approve_restore(*restoring, clock); }; });
}

void add_ra(CLI::App& program, const Clock& clock) {
  auto* ra = program.add_subcommand("ra", "Registration authority: signers, certificates, states of keys");
  ra->require_subcommand(1);

  const auto add_registration = [&](const char* name, const char* about, const char* footer) {
    auto options = std::make_shared<CreateSignerOptions>();
    auto* app = ra->add_subcommand(name, about);
    add_operator(*app, options->operator_file);
    app->add_option("--signer", options->signer, "the signer's id")->required()->type_name("ID");
    app->add_option(
           "--identity", options->identity_file,
           "JSON: country, and givenName, surname, serialNumber, or organizationName, organizationIdentifier, or both; optionally email")
        ->required()
        ->type_name("FILE.json");
    app->add_option("--code-out", options->code_out, "write the activation code to this file, mode 0600; else it is shown")
        ->type_name("FILE");
    app->add_option("--revocation-code-out", options->revocation_code_out,
                    "write the signer's revocation code to this file, mode 0600; else it is shown")
        ->type_name("FILE");
    app->add_option("--level", options->level, "how well the person was identified (CIR 2015/1502)")
        ->check(CLI::IsMember({"low", "substantial", "high"}));
    app->add_option("--email", options->email, "where the person is told what happens to the certificate");
    app->add_option("--phone", options->phone, "the same by text message: + and 8 to 15 digits");
    app->add_option("--language", options->language, "of these notices; en without it")->check(CLI::IsMember({"en", "el"}));
    app->footer(footer);
    return std::pair(app, options);
  };
  auto [create, created] = add_registration(
      "signer-create", "Create a signer; the activation code comes back sealed to the operator",
      "\nExample:\n  intaglio ra signer-create --operator operator.toml --signer ada --identity ada.json --code-out ada.code");
  create->callback([options = created, &clock] { chosen = [options, &clock] { return create_signer(*options, clock); }; });
  auto [reset, to_reset] =
      add_registration("reset-factors", "Reset the factors of a person who was identified anew: the keys are destroyed",
                       "\nRevoke the certificates of the destroyed keys too (intaglio ra revoke).\n\nExample:\n"
                       "  intaglio ra reset-factors --operator operator.toml --signer ada --identity ada.json --code-out ada.code");
  reset->callback([options = to_reset, &clock] { chosen = [options, &clock] { return reset_factors(*options, clock); }; });

  auto listed = std::make_shared<ListEnrolmentsOptions>();
  auto* list = ra->add_subcommand("list", "Where every signer and key stands, since when, and what is next");
  add_operator(*list, listed->operator_file);
  list->add_option("--state", listed->state,
                   "only these: code_sent, device_registered, key_made, key_certified, suspended, "
                   "revocation_requested, revoked, expired, ended");
  list->add_option("--ending", listed->ending, "only keys whose certificate ends within so many days")
      ->check(CLI::Range(1, 3660))
      ->type_name("DAYS");
  list->footer("\nExample:\n  intaglio ra list --operator operator.toml --state revocation_requested");
  list->callback([listed] { chosen = [listed] { return list_enrolments(*listed); }; });
  auto shown = std::make_shared<ShowEnrolmentOptions>();
  auto* show = ra->add_subcommand("show", "Where one signer and his keys stand");
  add_operator(*show, shown->operator_file);
  show->add_option("--signer", shown->signer, "the signer's id")->required()->type_name("ID");
  show->footer("\nExample:\n  intaglio ra show --operator operator.toml --signer ada");
  show->callback([shown] { chosen = [shown] { return show_enrolment(*shown); }; });

  auto jobs = std::make_shared<JobsOptions>();
  auto* jobs_app = ra->add_subcommand("jobs", "What the service does by the clock: when it last did, or once more now");
  add_operator(*jobs_app, jobs->operator_file);
  jobs_app->add_option("--run", jobs->run, "run this one now: certificate_ends_30 or certificate_ends_7")->type_name("JOB");
  jobs_app->footer("\nExample:\n  intaglio ra jobs --operator operator.toml --run certificate_ends_30");
  jobs_app->callback([jobs] { chosen = [jobs] { return run_jobs(*jobs); }; });

  auto request = std::make_shared<CertifyOptions>();
  auto* certify_app = ra->add_subcommand("certify", "Have a signer's key certified, and bind the certificate");
  add_operator(*certify_app, request->operator_file);
  certify_app->add_option("--credential", request->credential, "the credential, as `intaglio key new` printed it")
      ->required()
      ->type_name("ID");
  certify_app->add_option("--identity", request->identity_file, "the same file as for signer-create")->required()->type_name("FILE.json");
  request->profile = "natural-person";
  certify_app->add_option("--profile", request->profile, "certificate profile of the PKI")->capture_default_str();
  certify_app->add_option("--out", request->out, "write the chain to this file, PEM, leaf first")->type_name("FILE.pem");
  certify_app->footer("\nExample:\n  intaglio ra certify --operator operator.toml --credential cred-1 --identity ada.json");
  certify_app->callback([request, &clock] { chosen = [request, &clock] { return certify(*request, clock); }; });

  const auto add_state = [&](const char* name, const char* about, const char* footer) {
    auto options = std::make_shared<KeyStateOptions>();
    auto* app = ra->add_subcommand(name, about);
    add_operator(*app, options->operator_file);
    app->add_option("--credential", options->credential, "the credential")->required()->type_name("ID");
    app->footer(footer);
    return std::pair(app, options);
  };
  auto [suspend, suspended] =
      add_state("suspend", "Suspend a credential: it signs nothing until it is resumed",
                "\nExample:\n  intaglio ra suspend --operator operator.toml --credential cred-1 --reason \"phone lost\"");
  suspend->add_option("--reason", suspended->reason, "stands in the audit log")->required()->type_name("TEXT");
  suspend->callback([options = suspended, &clock] { chosen = [options, &clock] { return suspend_key(*options, clock); }; });
  auto [resume, resumed] =
      add_state("resume", "Lift a suspension", "\nExample:\n  intaglio ra resume --operator operator.toml --credential cred-1");
  resume->callback([options = resumed, &clock] { chosen = [options, &clock] { return resume_key(*options, clock); }; });
  auto [revoke, revoked] =
      add_state("revoke", "Revoke a certificate, for good, or put it on hold (--reason certificateHold)",
                "\nExample:\n  intaglio ra revoke --operator operator.toml --credential cred-1 --serial 1f00… --reason keyCompromise");
  revoke->add_option("--serial", revoked->serial, "serial number, hexadecimal, as `ra certify` printed it")->required()->type_name("HEX");
  revoke
      ->add_option("--reason", revoked->reason,
                   "RFC 5280: keyCompromise, affiliationChanged, superseded, cessationOfOperation, unspecified …; certificateHold suspends")
      ->required();
  revoke->add_option("--urgency", revoked->urgency, "emergency: the key stops before the PKI is asked, and no second person is waited for")
      ->check(CLI::IsMember({"standard", "emergency"}))
      ->capture_default_str();
  revoke->add_option("--channel", revoked->channel, "how the revocation was asked for; stands in the audit log")
      ->check(CLI::IsMember({"operator", "hotline"}))
      ->capture_default_str();
  revoke->callback([options = revoked, &clock] { chosen = [options, &clock] { return revoke_certificate(*options, clock); }; });
  auto [release, released] = add_state("release", "End a certificate's hold; `ra resume` takes the key up again",
                                       "\nExample:\n  intaglio ra release --operator operator.toml --credential cred-1 --serial 1f00…");
  release->add_option("--serial", released->serial, "serial number, hexadecimal, as `ra certify` printed it")->required()->type_name("HEX");
  release->callback([options = released, &clock] { chosen = [options, &clock] { return release_certificate(*options, clock); }; });
}

/// Commands of other programs that stand beside this one.
void add_siblings(CLI::App& program) {
  auto* up = program.add_subcommand("up", "Start all services on this machine (intaglio-up); takes its options")->prefix_command();
  up->callback([up] { chosen = [arguments = up->remaining()] { return run_sibling("intaglio-up", arguments); }; });

  auto* hsm = program.add_subcommand("hsm", "The HSM");
  hsm->require_subcommand(1);
  auto file = std::make_shared<std::filesystem::path>();
  auto* probe = hsm->add_subcommand("probe", "Test what the SAM's token can do (intaglio-sam --probe); the SAM must not run");
  probe->add_option("--config", *file, "the SAM's configuration")->required()->type_name("SAM.toml");
  probe->footer("\nExample:\n  intaglio hsm probe --config run/config/sam.toml");
  probe->callback([file] { chosen = [file] { return probe_token(*file); }; });
}

}  // namespace

int main(int argc, char** argv) {
  log::open("intaglio", "warn");
  (void)open_secret_pool(1 << 20);
  (void)harden_process();
  const auto clock = make_system_clock(ClockSource::declared);

  CLI::App program{"Remote signatures under the signer's sole control: sign, verify, register, manage.", "intaglio"};
  program.set_version_flag("--version", "intaglio 0.1.0");
  program.set_help_all_flag("--help-all", "the help of every command");
  program.require_subcommand(1);
  program.footer(
      "\nSecrets are asked on the terminal or read from files of mode 0600; they are never arguments.\n"
      "Exit status: 0 done, 1 refused, 2 wrong use. Try: intaglio COMMAND --help");
  add_sign(program, *clock);
  add_approve(program, *clock);
  add_verify(program, *clock);
  add_enrol(program, *clock);
  add_key(program, *clock);
  add_signer(program, *clock);
  add_seal(program, *clock);
  add_audit(program);
  add_ra(program, *clock);
  add_admin(program, *clock);
  add_siblings(program);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return program.exit(wrong) == 0 ? 0 : 2;
  } catch (const std::exception& wrong) {
    return report(Error{ErrorCode::internal, wrong.what()});
  }
  const auto done = chosen();
  return done ? 0 : report(done.error());
}
