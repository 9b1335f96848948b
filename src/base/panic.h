#pragma once

namespace intaglio {

/// Ends the process because an invariant of ours is broken. Input, however odd, never leads here.
/// The text goes to standard error without any allocation; no core is written (see harden_process).
[[noreturn]] void panic(const char* what) noexcept;

}  // namespace intaglio
