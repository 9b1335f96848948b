#include "net/socket_bio.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>

#include "base/panic.h"

namespace intaglio::net {
namespace {

int descriptor_of(BIO* bio) { return *static_cast<const int*>(BIO_get_data(bio)); }

int finish(BIO* bio, ssize_t moved, int retry) {
  BIO_clear_retry_flags(bio);
  if (moved < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
  return static_cast<int>(moved);
}

int write_socket(BIO* bio, const char* data, int length) {
  return finish(bio, ::send(descriptor_of(bio), data, static_cast<std::size_t>(length), MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

int read_socket(BIO* bio, char* data, int length) {
  return finish(bio, ::recv(descriptor_of(bio), data, static_cast<std::size_t>(length), 0), BIO_FLAGS_READ);
}

long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

const BIO_METHOD* method() {
  static const BIO_METHOD* const made = [] {
    BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without SIGPIPE");
    if (fresh == nullptr || BIO_meth_set_write(fresh, write_socket) != 1 || BIO_meth_set_read(fresh, read_socket) != 1 ||
        BIO_meth_set_ctrl(fresh, control) != 1) {
      panic("no BIO method");
    }
    return fresh;
  }();
  return made;
}

}  // namespace

bool attach_socket(ssl_st* connection, const int& descriptor) {
  BIO* bio = BIO_new(method());
  if (bio == nullptr) return false;
  // OpenSSL has no const here; nothing is written through it.
  BIO_set_data(bio, const_cast<int*>(&descriptor));
  BIO_set_init(bio, 1);
  SSL_set_bio(connection, bio, bio);
  SSL_set_read_ahead(connection, 1);
  return true;
}

}  // namespace intaglio::net
