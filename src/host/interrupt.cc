#include "host/interrupt.h"

#include <csignal>

namespace kinglet {
namespace {

volatile std::sig_atomic_t requests = 0;

void on_interrupt(int signal) {
  std::signal(signal, requests == 0 ? on_interrupt : SIG_DFL);
  if (requests != 0) std::raise(signal);
  requests = 1;
}

}  // namespace

InterruptScope::InterruptScope() {
  requests = 0;
  before_ = std::signal(SIGINT, on_interrupt);
  if (before_ == SIG_IGN) std::signal(SIGINT, SIG_IGN);  // a background job stays deaf
}

InterruptScope::~InterruptScope() { std::signal(SIGINT, before_ == SIG_ERR ? SIG_DFL : before_); }

bool InterruptScope::requested() { return requests != 0; }
void InterruptScope::clear() { requests = 0; }

}  // namespace kinglet
