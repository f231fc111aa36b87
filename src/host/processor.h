// Which processor this is.
#pragma once

#include <string>

namespace kinglet {

/// As it names itself, e.g. "AMD EPYC 9354 32-Core Processor"; empty where the system does not tell.
std::string processor_name();

}  // namespace kinglet
