// aliyun-alinas-efc-cli, with the options of the specification:
//
//   aliyun-alinas-efc-cli -m MOUNTPOINT -r warmup/load|warmup/stat|warmup/cancel
//       --path PATHS [--pattern RE] [--preceding_time SECONDS]
//   aliyun-alinas-efc-cli -m MOUNTPOINT -r tier [-c]
//   aliyun-alinas-efc-cli -m MOUNTPOINT -r action -k clear_readdir_cache|clear_metadata_cache
#pragma once

#include "cli/command.h"

namespace shoal {

std::unique_ptr<Command> MakeEfcCommand();

}  // namespace shoal
