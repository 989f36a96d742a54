import { fromRoot } from "../../../scripts/run.ts";
import { must } from "../../../src/adapters/lab_hosts/process.ts";
import type { LabHost } from "../../../src/adapters/lab_hosts/host.ts";

export const POSTGRES_IMAGE = "postgres:debian";
const CACHE = "dist/cache";

/**
 * Debian's PostgreSQL as an image, without installing it here: its packages, and those that they need and
 * this machine has not, are fetched and laid out, and what the programs load is taken along.
 */
const SCRIPT = `set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/debs/partial" "$work/pkg" "$work/root/bin" "$work/root/etc" "$work/root/tmp" "$work/root/data" "$work/root/www/cgi-bin"
fetch() {
  version=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\\([0-9]*\\)$/\\1/p')
  [ -n "$version" ] && apt-get install -y -qq --reinstall --download-only --no-install-recommends \\
    -o Dir::Cache::archives="$work/debs" -o APT::Sandbox::User=root \\
    postgresql-$version postgresql-client-$version libpq5
}
fetch >"$work/log" 2>&1 || { apt-get update -qq >>"$work/log" 2>&1 && fetch >>"$work/log" 2>&1; } || { cat "$work/log" >&2; exit 1; }
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/pkg"; done
programs=$(echo "$work"/pkg/usr/lib/postgresql/*/bin)
share=$(echo "$work"/pkg/usr/share/postgresql/*)
folder=\${programs#"$work/pkg"}
mkdir -p "$work/root$folder" "$work/root\${folder%/bin}/lib" "$work/root\${share#"$work/pkg"}"
cp -L "$programs"/postgres "$programs"/initdb "$programs"/psql "$work/root$folder/"
cp -rL "$share/." "$work/root\${share#"$work/pkg"}/"
for name in dict_snowball.so plpgsql.so; do cp -L "$programs/../lib/$name" "$work/root\${folder%/bin}/lib/"; done
export LD_LIBRARY_PATH=$(find "$work/pkg" -name '*.so*' -printf '%h\\n' | sort -u | grep -v postgresql | paste -sd:)
for program in postgres initdb psql; do
  ldd "$programs/$program" | grep 'not found' >&2 && exit 1
  for library in $(ldd "$programs/$program" | grep -o '/[^ ]*'); do
    target=\${library#"$work/pkg"}
    mkdir -p "$work/root$(dirname "$target")"
    cp -L "$library" "$work/root$target"
  done
done
libc=$(ldd "$(command -v getent)" | grep -o '/[^ ]*libc.so.6')
for name in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2; do
  if [ -e "$(dirname "$libc")/$name" ]; then cp -L "$(dirname "$libc")/$name" "$work/root$(dirname "$libc")/"; fi
done
cp "$(command -v busybox)" "$work/root/bin/busybox"
for name in sh cat echo sleep httpd mkdir chmod; do ln -s busybox "$work/root/bin/$name"; done
echo 'postgres:x:999:999:postgres:/tmp:/bin/sh' >"$work/root/etc/passwd"
echo 'postgres:x:999:' >"$work/root/etc/group"
echo 'hosts: files dns' >"$work/root/etc/nsswitch.conf"
ln -s ".$folder" "$work/root/pg"
chmod 1777 "$work/root/tmp" "$work/root/data"
printf '%s\\n' '#!/bin/sh' '/pg/initdb -D /data/db -A trust --no-locale >/dev/null &&' \\
  'echo "host all all all trust" >>/data/db/pg_hba.conf &&' \\
  'exec /pg/postgres -D /data/db -c listen_addresses="*" -c unix_socket_directories=/tmp' >"$work/root/bin/serve-database"
# Each visit is a row, so that what is shown has been through the database.
printf '%s\\n' '#!/bin/sh' 'echo "Content-Type: text/plain"; echo' \\
  'PGCONNECT_TIMEOUT=5 /pg/psql -qtA -h "$DATABASE_HOST" -U postgres -d postgres -c "CREATE TABLE IF NOT EXISTS visits (host text)" -c "INSERT INTO visits VALUES ('"'"'$HOSTNAME'"'"')" -c "SELECT count(*) || '"'"' visits on '"'"' || version() FROM visits" 2>&1' >"$work/root/www/cgi-bin/visits"
chmod 755 "$work/root/bin/serve-database" "$work/root/www/cgi-bin/visits"
tar -C "$work/root" -cf "$1.part" .
mv "$1.part" "$1"`;

/** Puts the image on the hosts. The archive is kept for later runs. */
export async function loadPostgresImage(hosts: readonly LabHost[]): Promise<void> {
  const file = fromRoot(`${CACHE}/postgres-1.tar`);
  await Deno.mkdir(fromRoot(CACHE), { recursive: true });
  try {
    await Deno.stat(file);
  } catch {
    await must(["sh", "-c", SCRIPT, "sh", file]);
  }
  await Promise.all(hosts.map(async (host) => {
    const { code, stderr } = await host.docker(["import", file, POSTGRES_IMAGE]);
    if (code !== 0) throw new Error(`docker import on ${host.name}: ${stderr}`);
  }));
}
