-- What wixl can't write, or writes wrongly, one statement a line. build-msi runs it on
-- the MSI that wixl has made from tlstunnel.wxs. @VERSION@ is the version.

-- Only the first installation writes the config. From then on it belongs to the
-- administrator: 64-bit (256), NeverOverwrite (128), Permanent (16). The folders stay, too.
UPDATE `Component` SET `Attributes` = 400 WHERE `Component` = 'Config'
UPDATE `Component` SET `Attributes` = 272 WHERE `Component` = 'Data'
INSERT INTO `CreateFolder` (`Directory_`, `Component_`) VALUES ('LogDir', 'Data')
INSERT INTO `CreateFolder` (`Directory_`, `Component_`) VALUES ('PkiDir', 'Data')

-- The access lists of the folders, the same as in installer/acl.go. SYSTEM and
-- Administrators have all rights. The service's account may read the config and change
-- the logs and the PKI. Nobody else has any right. The last SID is that of
-- NT SERVICE\tlstunnel, which Windows computes from the name.
CREATE TABLE `MsiLockPermissionsEx` (`MsiLockPermissionsEx` CHAR(72) NOT NULL, `LockObject` CHAR(72) NOT NULL, `Table` CHAR(32) NOT NULL, `SDDLText` CHAR(0) NOT NULL, `Condition` CHAR(255) PRIMARY KEY `MsiLockPermissionsEx`)
INSERT INTO `MsiLockPermissionsEx` (`MsiLockPermissionsEx`, `LockObject`, `Table`, `SDDLText`) VALUES ('Data', 'DataDir', 'CreateFolder', 'O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;S-1-5-80-2400726164-3471669723-1571552582-1764972433-2608205232)')
INSERT INTO `MsiLockPermissionsEx` (`MsiLockPermissionsEx`, `LockObject`, `Table`, `SDDLText`) VALUES ('Log', 'LogDir', 'CreateFolder', 'O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;S-1-5-80-2400726164-3471669723-1571552582-1764972433-2608205232)')
INSERT INTO `MsiLockPermissionsEx` (`MsiLockPermissionsEx`, `LockObject`, `Table`, `SDDLText`) VALUES ('Pki', 'PkiDir', 'CreateFolder', 'O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;S-1-5-80-2400726164-3471669723-1571552582-1764972433-2608205232)')

-- The exe has a version of its own, and this table must have it. Otherwise Windows
-- Installer wouldn't install the exe over an old exe that has a version, not even over
-- the exe of the product that the upgrade removes.
UPDATE `File` SET `Version` = '@VERSION@.0' WHERE `File` = 'Exe'
UPDATE `File` SET `Language` = '1033' WHERE `File` = 'Exe'
DELETE FROM `MsiFileHash` WHERE `File_` = 'Exe'

-- An upgrade removes the old version first, within the transaction. If the installation
-- of the new version fails, the old version comes back.
UPDATE `InstallExecuteSequence` SET `Sequence` = 1501 WHERE `Action` = 'RemoveExistingProducts'

-- Properties that a command line may set when the installer asks for rights.
UPDATE `Property` SET `Value` = 'FIREWALL;INSTALLDIR;REMEMBERED_FIREWALL;REMEMBERED_INSTALLDIR;START_SERVICE;WINDOWSMAJOR;WIX_DOWNGRADE_DETECTED;WIX_UPGRADE_DETECTED' WHERE `Property` = 'SecureCustomProperties'
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('RememberInstallDir', 51, 'INSTALLDIR', '[REMEMBERED_INSTALLDIR]')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('RememberFirewall', 51, 'FIREWALL', '1')
INSERT INTO `InstallUISequence` (`Action`, `Condition`, `Sequence`) VALUES ('RememberInstallDir', 'REMEMBERED_INSTALLDIR AND INSTALLDIR = ""', 51)
INSERT INTO `InstallUISequence` (`Action`, `Condition`, `Sequence`) VALUES ('RememberFirewall', 'REMEMBERED_FIREWALL AND FIREWALL = ""', 52)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('RememberInstallDir', 'REMEMBERED_INSTALLDIR AND INSTALLDIR = ""', 51)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('RememberFirewall', 'REMEMBERED_FIREWALL AND FIREWALL = ""', 52)

-- The service. If it can't be installed, the whole installation fails (32768). It is
-- started unless START_SERVICE=0. It has a delayed start (3), failure actions also after
-- an exit with an error (4), its own SID in its token (5), no privileges but one (6), and
-- 5 min to drain when the machine shuts down (7). If it fails, it is started again after
-- 5 s, 30 s and 2 min. After a day without a failure the count starts anew.
-- internal/osservice/tune_windows.go sets the same.
UPDATE `ServiceInstall` SET `ErrorControl` = 32769 WHERE `ServiceInstall` = 'Service'
UPDATE `InstallExecuteSequence` SET `Condition` = 'VersionNT AND START_SERVICE <> 0' WHERE `Action` = 'StartServices'
CREATE TABLE `MsiServiceConfig` (`MsiServiceConfig` CHAR(72) NOT NULL, `Name` CHAR(255) NOT NULL, `Event` INT NOT NULL, `ConfigType` LONG NOT NULL, `Argument` CHAR(0), `Component_` CHAR(72) NOT NULL PRIMARY KEY `MsiServiceConfig`)
INSERT INTO `MsiServiceConfig` (`MsiServiceConfig`, `Name`, `Event`, `ConfigType`, `Argument`, `Component_`) VALUES ('Delayed', 'tlstunnel', 5, 3, '1', 'Program')
INSERT INTO `MsiServiceConfig` (`MsiServiceConfig`, `Name`, `Event`, `ConfigType`, `Argument`, `Component_`) VALUES ('NonCrash', 'tlstunnel', 5, 4, '1', 'Program')
INSERT INTO `MsiServiceConfig` (`MsiServiceConfig`, `Name`, `Event`, `ConfigType`, `Argument`, `Component_`) VALUES ('Sid', 'tlstunnel', 5, 5, '1', 'Program')
INSERT INTO `MsiServiceConfig` (`MsiServiceConfig`, `Name`, `Event`, `ConfigType`, `Argument`, `Component_`) VALUES ('Privileges', 'tlstunnel', 5, 6, 'SeChangeNotifyPrivilege', 'Program')
INSERT INTO `MsiServiceConfig` (`MsiServiceConfig`, `Name`, `Event`, `ConfigType`, `Argument`, `Component_`) VALUES ('Shutdown', 'tlstunnel', 5, 7, '300000', 'Program')
CREATE TABLE `MsiServiceConfigFailureActions` (`MsiServiceConfigFailureActions` CHAR(72) NOT NULL, `Name` CHAR(255) NOT NULL, `Event` INT NOT NULL, `ResetPeriod` LONG, `RebootMessage` CHAR(255) LOCALIZABLE, `Command` CHAR(255) LOCALIZABLE, `Actions` CHAR(0), `DelayActions` CHAR(0), `Component_` CHAR(72) NOT NULL PRIMARY KEY `MsiServiceConfigFailureActions`)
INSERT INTO `MsiServiceConfigFailureActions` (`MsiServiceConfigFailureActions`, `Name`, `Event`, `ResetPeriod`, `Actions`, `DelayActions`, `Component_`) VALUES ('Restart', 'tlstunnel', 5, 86400, '1[~]1[~]1', '5000[~]30000[~]120000', 'Program')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('MsiConfigureServices', 'VersionMsi >= "5.00"', 5850)

-- The source in the Event Log. #% makes the value a REG_EXPAND_SZ.
INSERT INTO `Registry` (`Registry`, `Root`, `Key`, `Name`, `Value`, `Component_`) VALUES ('EventMessageFile', 2, 'SYSTEM\CurrentControlSet\Services\EventLog\Application\tlstunnel', 'EventMessageFile', '#%%SystemRoot%\System32\EventCreate.exe', 'Registry')

-- Add the folder of the program at the end of the machine's (*) PATH. It is removed with
-- the program (-).
CREATE TABLE `Environment` (`Environment` CHAR(72) NOT NULL, `Name` CHAR(255) NOT NULL LOCALIZABLE, `Value` CHAR(255) LOCALIZABLE, `Component_` CHAR(72) NOT NULL PRIMARY KEY `Environment`)
INSERT INTO `Environment` (`Environment`, `Name`, `Value`, `Component_`) VALUES ('Path', '=-*PATH', '[~];[INSTALLDIR]', 'Registry')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('RemoveEnvironmentStrings', '', 3300)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('WriteEnvironmentStrings', '', 5200)

-- The window of the command that starts the editor stays minimized.
UPDATE `Shortcut` SET `ShowCmd` = 7 WHERE `Shortcut` = 'EditConfig'

-- A firewall rule if FIREWALL=1. Windows Installer has no table for rules, so use netsh,
-- as Windows documents. The rule is for the program, whatever its ports are. If no Windows
-- firewall runs, netsh fails, but then no rule is needed. Type: an exe in a folder (34), in
-- the script (1024), as SYSTEM (2048), at rollback (256), failure ignored (64).
UPDATE `Component` SET `Condition` = 'FIREWALL = 1' WHERE `Component` = 'Firewall'
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('AddFirewallRule', 3170, 'INSTALLDIR', '"[System64Folder]netsh.exe" advfirewall firewall add rule name=tlstunnel dir=in action=allow protocol=TCP program="[INSTALLDIR]tlstunnel.exe"')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('UndoFirewallRule', 3426, 'INSTALLDIR', '"[System64Folder]netsh.exe" advfirewall firewall delete rule name=tlstunnel program="[INSTALLDIR]tlstunnel.exe"')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('RemoveFirewallRule', 3170, 'INSTALLDIR', '"[System64Folder]netsh.exe" advfirewall firewall delete rule name=tlstunnel program="[INSTALLDIR]tlstunnel.exe"')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('RemoveFirewallRule', '?Firewall = 3 AND $Firewall = 2', 3400)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('UndoFirewallRule', '$Firewall = 3', 4100)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('AddFirewallRule', '$Firewall = 3', 4101)
