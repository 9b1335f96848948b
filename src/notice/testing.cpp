#include "notice/testing.h"

#include "sealed/testing.h"

namespace intaglio::notice {

Result<std::shared_ptr<Outbox>> open_testing_outbox(const std::shared_ptr<storage::Database>& database, audit::Log& log,
                                                    const std::shared_ptr<const Clock>& clock, const std::filesystem::path& templates,
                                                    const std::filesystem::path& versions, const std::shared_ptr<Notifier>& mail) {
  for (const auto* series : {&sealed::Sealer::migrations(), &migrations()}) {
    if (auto migrated = database->migrate(*series); !migrated) return migrated.error();
  }
  auto sealer = sealed::open_testing_sealer(*database, Bytes(32, 7), clock, versions);
  if (!sealer) return sealer.error();
  auto texts = Templates::load(templates);
  if (!texts) return texts.error();
  return std::make_shared<Outbox>(Outbox::Parts{database,
                                                clock,
                                                log,
                                                std::make_shared<const Contacts>(std::move(*sealer)),
                                                std::move(*texts),
                                                {{"service", "Demo"}, {"contact", "desk"}, {"link", "https://enrol.example"}},
                                                {{Channel::mail, mail}}});
}

}  // namespace intaglio::notice
