#pragma once

// From now on, memory of CPU tensors is kept for the next tensor of its size instead of being given back to the system.
void keepMemory();
