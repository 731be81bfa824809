#pragma once
// What each file of this folder adds to the table of commands, and what several of them use.

#include "../command.hpp"

#include <span>

namespace kv {

extern const std::span<const command> string_commands;
extern const std::span<const command> number_commands;
extern const std::span<const command> expiry_commands;
extern const std::span<const command> key_commands;
extern const std::span<const command> keyspace_commands;
extern const std::span<const command> connection_commands;
extern const std::span<const command> client_commands;
extern const std::span<const command> channel_commands;
extern const std::span<const command> server_commands;

/// For a command with parts: which it has.
void help(session& self, arguments words);

}  // namespace kv
