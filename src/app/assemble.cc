#include "app/assemble.h"

#include "fs/object_file_system.h"
#include "origin/open_store.h"
#include "read/origin_source.h"

namespace shoal {

Result<Node> Assemble(const MountOptions& options, const Clock& clock) {
  Node node;
  ASSIGN_OR_RETURN(node.store, OpenStore(options.origin, clock));
  node.source = std::make_unique<OriginSource>(*node.store);
  node.read_engine = MakeReadEngine(options.read, *node.source, clock);
  node.file_system =
      MakeObjectFileSystem(options.file_system, *node.store, *node.read_engine, clock);
  return node;
}

}  // namespace shoal
