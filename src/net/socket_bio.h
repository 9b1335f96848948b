#pragma once

struct ssl_st;

namespace intaglio::net {

/// Lets the TLS connection read and write the socket, as OpenSSL's own BIO does, which however writes with write(2) and so raises SIGPIPE
/// when the peer has gone. The descriptor outlives the connection and stays its owner's. False when there is no memory.
[[nodiscard]] bool attach_socket(ssl_st* connection, const int& descriptor);

}  // namespace intaglio::net
