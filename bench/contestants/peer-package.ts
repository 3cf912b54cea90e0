/**
 * Loads a package of bench/package.json. By a name that is no literal, so that neither the types nor the
 * checks of the library need it to be installed; whoever loads it says what he needs of it.
 */
export async function peerPackage<Module>(name: string): Promise<Module> {
  return (await import(name)) as Module
}
