#include "runtime/base/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include "runtime/base/file.h"

namespace dcc {
namespace {

constexpr char kNoMemory[] =
    "memory: there is none left; smaller inputs, lower limits or fewer ranks need less";

// Where memory ran out below something that lets no exception through.
[[noreturn]] void onTerminate() {
  try {
    if (const std::exception_ptr thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::bad_alloc&) {
    for (const std::string_view part : {"error: ", kNoMemory, "\n"}) {
      (void)!::write(STDERR_FILENO, part.data(), part.size());
    }
    ::_exit(static_cast<int>(Fault::kRuntime));
  } catch (...) {
  }
  std::abort();
}

}  // namespace

void beginProgram() {
  std::set_terminate(onTerminate);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  // The usual limit is low for the sake of select(), which we don't use; a rank has a connection to
  // every other.
  if (rlimit files; ::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  for (;;) {
    const int fd = ::open("/dev/null", O_RDWR);
    if (fd < 0 || fd > STDERR_FILENO) {
      if (fd >= 0) ::close(fd);
      break;
    }
  }
  // A help, at least, fails where it is flushed, with its reason.
  static char buffer[size_t{1} << 16];
  if (::isatty(STDOUT_FILENO) == 0) std::setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
}

Status guarded(const std::function<Status()>& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return runtimeError(kNoMemory);
  } catch (const std::system_error& error) {
    return runtimeError(std::string("threads: ") + error.what() + "; fewer --threads need less");
  }
}

int exitStatus(const Status& status, int signal) {
  if (signal != 0) return 128 + signal;
  return status.ok() ? 0 : static_cast<int>(status.error().fault);
}

Status flushStdout() {
  const bool flushed = std::fflush(stdout) == 0;
  const std::string why = flushed ? "" : ": " + errnoText(errno);
  if (flushed && !std::ferror(stdout)) return Status::success();
  // What was printed first may have failed long ago.
  pollfd poll{STDOUT_FILENO, 0, 0};
  if (::poll(&poll, 1, 0) > 0 && (poll.revents & POLLERR) != 0) return Status::success();
  return runtimeError("stdout: cannot be written" + why);
}

}  // namespace dcc
