// Tells systemd that a service of Type=notify is ready (sd_notify(3)); elsewhere does nothing.
#pragma once

namespace shoal {

void NotifySystemdReady();

}  // namespace shoal
