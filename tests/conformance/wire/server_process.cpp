// SPDX-License-Identifier: BSD-3-Clause
#include "server_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace wire_conformance {

namespace {
void pause_a_little() {
    const timespec time{0, 1'000'000};
    ::nanosleep(&time, nullptr);
}
} // namespace

void server_process::start() {
    kill();
    end_.reset();
    // Some servers want the path to be free.
    ::unlink(path_.c_str());
    std::vector<char*> arguments;
    for (std::string& each : command_) arguments.push_back(each.data());
    arguments.push_back(nullptr);
    process_ = ::fork();
    if (process_ < 0) throw std::runtime_error{"fork"};
    if (process_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (const int nowhere = ::open("/dev/null", O_RDWR);
            nowhere >= 0 && std::getenv("MEDIANT_SHOW_SERVER") == nullptr) {
            ::dup2(nowhere, 1);
            ::dup2(nowhere, 2);
        }
        ::execvp(arguments[0], arguments.data());
        ::_exit(127);
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    struct stat there {};
    while (::stat(path_.c_str(), &there) != 0) {
        if (end() || std::chrono::steady_clock::now() > until)
            throw std::runtime_error{command_[0] + " does not come up"};
        pause_a_little();
    }
}

std::optional<std::string> server_process::end() {
    if (process_ == 0) return end_;
    int status = 0;
    if (::waitpid(process_, &status, WNOHANG) != process_) return {};
    process_ = 0;
    if (WIFSIGNALED(status))
        end_ = std::string{"dies of SIG"} + ::sigabbrev_np(WTERMSIG(status));
    else
        end_ = WEXITSTATUS(status) == 0 ? "" : "ends with exit code " + std::to_string(WEXITSTATUS(status));
    return end_;
}

bool server_process::ended() {
    const auto until = std::chrono::steady_clock::now() + deadline_;
    while (!end()) {
        if (std::chrono::steady_clock::now() > until) return false;
        pause_a_little();
    }
    return true;
}

void server_process::kill() noexcept {
    if (process_ == 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = 0;
}

} // namespace wire_conformance
